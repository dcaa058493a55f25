"""Attention by feature maps: the softmax is replaced by a product, and products can be regrouped.

    o_t = sum_s (f(q_t) . g(k_s)) v_s / sum_s f(q_t) . g(k_s)  =  f(q_t) S / f(q_t) z
    S = sum_s g(k_s) v_s^T,   z = sum_s g(k_s)

Read from the right, nothing is T x S: a text is summed into S and z once, and in causal layers
chunk by chunk, with the T x T form only within a chunk. A column of ones beside the values makes z
a column of S. The same S, advanced one token at a time, is the state of a recurrent network.

Features that are exponentials (FAVOR+) are given as logarithms. The state keeps for each feature m
the running maximum p_m of the keys' logarithms, and S holds exp(g_m - p_m): nothing overflows, and
no constant need be added. A query adds p_m back before it subtracts its own maximum (`_scaled`).
Sums are of float32 or wider.

Legend: B batch, H head, T token, S key token, D head width, M feature, N chunk, C token of a chunk.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 64  # tokens; measured at 4k on Zen 4 against 32 and 128
LOG_CHUNK = 32  # likewise, against 64: logarithms take a step more a doubling
LOWEST = -1e30  # a logarithm of nothing that can still be subtracted from itself


class State(NamedTuple):
    """A text summed up.

    Attributes:
        sums: [B, H, M, D + 1] of key features times values and, in the last column, times one.
        peak: [B, H, 1, M] what the logarithms of key features are measured from; 0 where features
            are no exponentials.
    """

    sums: Tensor
    peak: Tensor


def update_state(
    state: State | None,
    key_BHSM: Tensor,
    value_BHSD: Tensor,
    keep_BS: Tensor | None = None,
    *,
    log: bool,
) -> State:
    """The state with some more keys summed in.

    Args:
        state: Of the keys before; None = there are none.
        key_BHSM: Features of the keys, or their logarithms.
        value_BHSD: Values.
        keep_BS: True at keys that are there; None = all.
        log: Whether features are given as logarithms.
    """
    key, ones = key_BHSM, torch.ones_like(value_BHSD[..., :1])
    value = torch.cat([value_BHSD, ones], dim=-1).to(key.dtype)
    if keep_BS is not None:
        hidden = ~keep_BS[:, None, :, None]
        key = key.masked_fill(hidden, LOWEST if log else 0)
        value = value.masked_fill(hidden, 0)
    peak = torch.zeros_like(key[:, :, :1])
    if log:
        peak = key.detach().amax(2, keepdim=True)
        peak = peak if state is None else torch.maximum(peak, state.peak)
        key = (key - peak).exp_()
    sums = key.transpose(-1, -2) @ value
    if state is not None:
        sums = sums + state.sums * (state.peak - peak).exp().transpose(-1, -2)
    return State(sums, peak)


def query_state(state: State, query_BHTM: Tensor, *, log: bool) -> Tensor:
    """What queries take from a state, [B, H, T, D]; 0 where there is nothing in it."""
    return _shares(_asked(query_BHTM, state.peak, log) @ state.sums)


def causal_linear_attention(
    state: State | None,
    query_BHTM: Tensor,
    key_BHTM: Tensor,
    value_BHTD: Tensor,
    keep_BT: Tensor | None,
    *,
    log: bool,
    chunk: int | None = None,
) -> tuple[Tensor, State]:
    """What each token takes from itself and all before it, and the state after the last.

    Args:
        state: Of the text that these tokens follow; None = they begin one.
        query_BHTM: Features of the queries, or their logarithms.
        key_BHTM: Features of the keys, likewise.
        value_BHTD: Values.
        keep_BT: True at keys that are there; None = all.
        log: Whether features are given as logarithms.
        chunk: Tokens that are computed together; None = as measured.

    Returns:
        [B, H, T, D], 0 where a token sees none, and the state.

    Raises:
        ValueError: Features are logarithms and the chunk cannot be halved down to a token.
    """
    chunk = chunk or (LOG_CHUNK if log else CHUNK)
    if log and chunk & (chunk - 1):
        raise ValueError(f"chunk: {chunk}; of logarithms it is a power of two, as 32")
    length, more = query_BHTM.shape[2], -query_BHTM.shape[2] % chunk
    value = torch.cat([value_BHTD, torch.ones_like(value_BHTD[..., :1])], -1).to(key_BHTM.dtype)
    if more and keep_BT is None:
        keep_BT = torch.ones_like(key_BHTM[:, 0, :, 0], dtype=torch.bool)
    query, key, value = (_chunks(x, more, chunk) for x in (query_BHTM, key_BHTM, value))
    if keep_BT is not None:
        hidden = ~F.pad(keep_BT, (0, more)).unflatten(1, (-1, chunk))[:, None, ..., None]
        value = value.masked_fill(hidden, 0)
        key = key.masked_fill(hidden, LOWEST if log else 0)
    if state is None:
        none = key.new_full((*key.shape[:2], 1, key.shape[-1]), LOWEST if log else 0)
        state = State(key.new_zeros(*key.shape[:2], key.shape[-1], value.shape[-1]), none)
    mix = _mix_logarithms if log else _mix_features
    mixed, state = mix(state, query, key, value)
    return _shares(mixed).flatten(2, 3)[:, :, :length], state


def _chunks(x_BHTM: Tensor, more: int, chunk: int) -> Tensor:
    """A text filled up with zeros and cut, [B, H, N, C, M]."""
    return (F.pad(x_BHTM, (0, 0, 0, more)) if more else x_BHTM).unflatten(2, (-1, chunk))


def _mix_features(state: State, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, State]:
    sums = key.transpose(-1, -2) @ value
    states = torch.cat([state.sums[:, :, None], sums], dim=2).cumsum(2)  # taking a chunk off
    near = (query @ key.transpose(-1, -2)).tril() @ value  # again would round what is before it
    return near + query @ states[:, :, :-1], State(states[:, :, -1], state.peak)


def _mix_logarithms(
    state: State, query: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, State]:
    """The causal outputs of all chunks before they are divided, and the state after the last.

    Chunk n takes from two sources: the state of the chunks before it (`before` is that state's
    maximum p), and its own tokens up to the query (`_halves`). Each source is a sum of exponentials
    that were divided by exp(scale), for a scale per query; both are brought to the larger scale and
    added:

        o = exp(past - scale) (asked S) + exp(own - scale) (near V),    scale = max(past, own)

    Example with one feature, chunks of one token, query logarithms 0 and key logarithms 1, 3, 2:
    the running maxima after each chunk are 1, 3, 3. The state after the first chunk is
    exp(1 - 1) v_0 = v_0; when the maximum rises to 3 it is multiplied by exp(1 - 3) (`fall`), and
    S = exp(-2) v_0 + v_1. The query of the third token has past = 0 + 3 and own = 0 + 2, so that
    scale = 3 and o = exp(-2) v_0 + v_1 + exp(-1) v_2: the exact sum
    exp(1) v_0 + exp(3) v_1 + exp(2) v_2 divided by exp(3).
    """
    own = key.detach().amax(3, keepdim=True)
    peak = torch.cat([state.peak[:, :, None], own], dim=2).cummax(2).values
    before, after = peak[:, :, :-1], peak[:, :, 1:]
    sums = (key - after).exp_().transpose(-1, -2) @ value
    fall = (before - after).exp_().transpose(-1, -2)
    states = [state.sums]
    for new, factor in zip(sums.unbind(2), fall.unbind(2), strict=True):  # an index a chunk
        states.append(states[-1] * factor + new)  # would fill a whole gradient each
    asked, past = _scaled(query, before)
    near, own = _halves(query, key)
    scale = torch.maximum(past, own)
    mixed = (near * (own - scale).exp_()) @ value
    mixed = mixed + (asked @ torch.stack(states[:-1], dim=2)) * (past - scale).exp_()
    return mixed, State(states[-1], peak[:, :, -1])


def _halves(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Weights within a chunk, [..., C, C], and the logarithms of their rows' scales, [..., C, 1].

    The maximum of a whole chunk may be that of a later token, beside which earlier ones would
    vanish. So a chunk is halved: the later half attends to all of the earlier half, measured from
    the maximum of the earlier half, and each half attends within itself in the same way. For a
    chunk of tokens 0 to 3 the pairs (2, 3) -> (0, 1) are computed at once, then 1 -> 0 and 3 -> 2,
    then each token with itself.
    """
    length = query.shape[-2]
    if length == 1:
        features, scale = _scaled(query, key)
        return features.sum(-1, keepdim=True), scale
    query, key = (x.unflatten(-2, (2, length // 2)) for x in (query, key))
    weights, scales = _halves(query, key)
    (first, last), (early, own) = weights.unbind(-3), scales.unbind(-3)
    key = key[..., 0, :, :]
    peak = key if length == 2 else key.detach().amax(-2, keepdim=True)
    asked, cross = _scaled(query[..., 1, :, :], peak)
    if length == 2:  # the sum is with the key itself, which therefore has its gradient from here
        between = asked.sum(-1, keepdim=True)
    else:
        between = asked @ (key - peak).exp_().transpose(-1, -2)
    late = torch.maximum(cross, own)
    between, last = between * (cross - late).exp_(), last * (own - late).exp_()
    rows = F.pad(first, (0, length // 2)), torch.cat([between, last], dim=-1)
    return torch.cat(rows, dim=-2), torch.cat([early, late], dim=-2)


def _asked(query: Tensor, peak: Tensor, log: bool) -> Tensor:
    """Features of queries that take back what keys were measured from; their own scale cancels."""
    return _scaled(query, peak)[0] if log else query


def _scaled(query: Tensor, peak: Tensor) -> tuple[Tensor, Tensor]:
    """Exponentials of a sum beside its largest, and that one, [..., 1]."""
    both = query + peak
    scale = both.detach().amax(-1, keepdim=True)
    return both.sub_(scale).exp_(), scale


def _shares(mixed: Tensor) -> Tensor:
    """Sums divided by the sum of the weights, which is the last column."""
    values, weight = mixed.split((mixed.shape[-1] - 1, 1), -1)  # of two slices the gradients are
    # filled up with zeros and added; those of a division are three passes, not one
    return values * weight.masked_fill(weight == 0, 1).reciprocal()
