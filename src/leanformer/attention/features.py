"""Attention by feature maps: the softmax is replaced by a product, and products can be regrouped.

    o_t = sum_s (f(q_t) . g(k_s)) v_s / sum_s f(q_t) . g(k_s)  =  f(q_t) S / f(q_t) z
    S = sum_s g(k_s) v_s^T,   z = sum_s g(k_s)

Read from the right, nothing is T x S: a text is summed into S and z once, and in causal layers
chunk by chunk, with the T x T form only within a chunk. A column of ones beside the values makes z
a column of S. The same S, advanced one token at a time, is the state of a recurrent network.

Features that are exponentials (FAVOR+) are handled as logarithms: each feature of the keys is
measured from its running maximum, which the query takes back before its own maximum is taken, so
that nothing overflows and no constant need be added. Sums are of float32 or wider.

Legend: B batch, H head, T token, S key token, D head width, M feature, N chunk, C token of a chunk.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.dense import visible
from leanformer.attention.mechanism import Attention

CHUNK = 64  # tokens; measured at 4k on Zen 4 against 32, 128 and 256
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


def mix_all(
    query_BHTM: Tensor, key_BHSM: Tensor, value_BHSD: Tensor, keep_BS: Tensor | None, *, log: bool
) -> Tensor:
    """What each query takes from all keys, [B, H, T, D]; 0 where there is none.

    Args:
        query_BHTM: Features of the queries, or their logarithms.
        key_BHSM: Features of the keys, likewise.
        value_BHSD: Values.
        keep_BS: True at keys that are there; None = all.
        log: Whether features are given as logarithms.
    """
    return read(advance(None, key_BHSM, value_BHSD, keep_BS, log=log), query_BHTM, log=log)


def advance(
    state: State | None,
    key_BHSM: Tensor,
    value_BHSD: Tensor,
    keep_BS: Tensor | None = None,
    *,
    log: bool,
) -> State:
    """The state with some more keys summed in; None = the beginning of a text."""
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
        key = (key - peak).exp()
    sums = key.transpose(-1, -2) @ value
    if state is not None:
        sums = sums + state.sums * (state.peak - peak).exp().transpose(-1, -2)
    return State(sums, peak)


def read(state: State, query_BHTM: Tensor, *, log: bool) -> Tensor:
    """What queries take from a state, [B, H, T, D]."""
    return _shares(_asked(query_BHTM, state.peak, log) @ state.sums)


def mix_causal(
    query_BHTM: Tensor,
    key_BHTM: Tensor,
    value_BHTD: Tensor,
    keep_BT: Tensor | None,
    *,
    log: bool,
    chunk: int = CHUNK,
) -> Tensor:
    """What each token takes from itself and all before it, [B, H, T, D]; see `mix_all`."""
    length = query_BHTM.shape[2]
    more = -length % chunk
    keep = torch.ones_like(key_BHTM[:, 0, :, 0], dtype=torch.bool) if keep_BT is None else keep_BT
    ones = torch.ones_like(value_BHTD[..., :1])
    value = torch.cat([value_BHTD, ones], dim=-1).to(key_BHTM.dtype)
    query, key, value = (
        F.pad(x, (0, 0, 0, more)).unflatten(2, (-1, chunk)) for x in (query_BHTM, key_BHTM, value)
    )
    there_BNC = F.pad(keep, (0, more)).unflatten(1, (-1, chunk))
    if keep_BT is not None or more:
        value = value.masked_fill(~there_BNC[:, None, ..., None], 0)
        key = key.masked_fill(~there_BNC[:, None, ..., None], LOWEST if log else 0)
    peak = torch.zeros_like(key[:, :, :, :1])
    if log:
        peak = key.detach().amax(3, keepdim=True).cummax(2).values  # of this chunk and all before
        key = (key - peak).exp()
    query = _asked(query, peak, log)
    within = (query @ key.transpose(-1, -2)).tril() @ value
    mixed = within + query @ _before(key.transpose(-1, -2) @ value, peak, log)
    return _shares(mixed).flatten(2, 3)[:, :, :length]


def _before(sums_BHNMD: Tensor, peak_BHN1M: Tensor, log: bool) -> Tensor:
    """The state before each chunk, measured from the chunk's own peak."""
    if not log:
        return sums_BHNMD.cumsum(2) - sums_BHNMD
    fall = (peak_BHN1M[:, :, :-1] - peak_BHN1M[:, :, 1:]).exp().transpose(-1, -2)
    chunks = sums_BHNMD.unbind(2)  # an index a chunk would fill a whole gradient each
    states = [torch.zeros_like(chunks[0])]
    for sums, factor in zip(chunks[:-1], fall.unbind(2), strict=True):
        states.append((states[-1] + sums) * factor)
    return torch.stack(states, dim=2)


def _asked(query: Tensor, peak: Tensor, log: bool) -> Tensor:
    """Features of queries that take back what keys were measured from; their own scale cancels."""
    if not log:
        return query
    query = query + peak
    return (query - query.detach().amax(-1, keepdim=True)).exp()


def _shares(mixed: Tensor) -> Tensor:
    """Sums divided by the sum of the weights, which is the last column."""
    weight = mixed[..., -1:]
    return mixed[..., :-1] / weight.masked_fill(weight == 0, 1)


class FeatureAttention(Attention):
    """Attention by the feature maps that a mechanism fills in."""

    anchored = False
    log: ClassVar[bool] = False
    """Whether `features` gives logarithms."""

    @abstractmethod
    def features(self, x_BHTD: Tensor, scaling: float, *, query: bool) -> Tensor:
        """Features of queries or keys, [B, H, T, M], in float32 or wider.

        Args:
            x_BHTD: Queries or keys.
            scaling: What the scores of a softmax would be multiplied by.
            query: Whether they are queries: a factor of a whole query may be left out.
        """

    def reference(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        keep_BS: Tensor,
        at_BT: Tensor,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.reference`: all products of features, in float64."""
        query = self.features(query_BHTD, scaling, query=True).double()
        key = self.features(key_BHSD, scaling, query=False).double()
        if self.log:
            query = (query - query.amax(-1, keepdim=True)).exp()
            key = (key - key.amax((-1, -2), keepdim=True)).exp()
        weights = query @ key.transpose(-1, -2) * visible(keep_BS, at_BT, self.heads.causal)
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-300)
        return (weights @ value_BHSD.double()).to(query_BHTD.dtype)

    def efficient(
        self,
        query_BHTD: Tensor,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor | None,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.efficient`."""
        query = self.features(query_BHTD, scaling, query=True)
        key = self.features(key_BHTD, scaling, query=False)
        mix = mix_causal if self.heads.causal else mix_all
        return mix(query, key, value_BHTD, keep_BT, log=self.log).to(query_BHTD.dtype)

    def step(
        self,
        query_BH1D: Tensor,
        key_BH1D: Tensor,
        value_BH1D: Tensor,
        state: State | None = None,
        *,
        scaling: float | None = None,
    ) -> tuple[Tensor, State]:
        """One token of a causal text, and the state after it: decoding with a memory of fixed size.

        Args:
            query_BH1D: Its query.
            key_BH1D: Its key, one head a query head.
            value_BH1D: Its value.
            state: After the token before it; None = it is the first.
            scaling: As in `forward`.
        """
        scaling = query_BH1D.shape[-1] ** -0.5 if scaling is None else scaling
        key = self.features(key_BH1D, scaling, query=False)
        state = advance(state, key, value_BH1D, log=self.log)
        mixed = read(state, self.features(query_BH1D, scaling, query=True), log=self.log)
        return mixed.to(query_BH1D.dtype), state


def widened(x: Tensor) -> Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
