"""Pooling: one vector per text, made of the hidden states of its tokens.

    mean                    e = sum_t m_t h_t / sum_t m_t
    mean_sqrt_len_tokens    e = sum_t m_t h_t / sqrt(sum_t m_t)
    weightedmean            e = sum_t m_t p_t h_t / sum_t m_t p_t
    max                     e_d = max_{t: m_t = 1} h_td
    cls                     e = h at the first real token
    lasttoken               e = h at the last real token

    then e / ||e|| where vectors are normalized

Legend: B batch, T token, D width; m_t is 1 at real tokens and 0 at padding, which may stand on
either side; p_t = 1, 2, … is the position among the real tokens. The names of the modes are those
of sentence-transformers.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.numerics.widen import widened

Mode = Literal["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
MODES: tuple[str, ...] = get_args(Mode)


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """How a text's vector is made of its hidden states."""

    mode: Mode = "mean"
    """Which tokens count, and how much."""
    normalize: bool = True
    """Whether the vector has length one."""


def pool(hidden_BTD: Tensor, mask_BT: Tensor, pooling: Pooling) -> Tensor:
    """The vectors [B, D], in fp32 or wider; padding has no share, a text without tokens gives 0.

    Args:
        hidden_BTD: Hidden states.
        mask_BT: 1 at real tokens, 0 at padding.
        pooling: How.

    Raises:
        ValueError: `pooling.mode` is not one of `MODES`.
    """
    hidden_BTD, keep_BT = widened(hidden_BTD), mask_BT.long()
    if pooling.mode in ("cls", "lasttoken"):
        vector_BD = _at(hidden_BTD, keep_BT, last=pooling.mode == "lasttoken")
    elif pooling.mode == "max":
        vector_BD = _largest(hidden_BTD, keep_BT)
    elif pooling.mode in MODES:
        vector_BD = _mean(hidden_BTD, keep_BT, pooling.mode)
    else:
        raise ValueError(f"pooling: {pooling.mode!r} is not one of {', '.join(MODES)}")
    return F.normalize(vector_BD, dim=-1) if pooling.normalize else vector_BD


def _mean(hidden_BTD: Tensor, keep_BT: Tensor, mode: str) -> Tensor:
    weights_BT = keep_BT * keep_BT.cumsum(1) if mode == "weightedmean" else keep_BT
    weights_BT1 = weights_BT.unsqueeze(-1).to(hidden_BTD.dtype)
    total_B1 = weights_BT1.sum(1).clamp(min=1e-9)
    if mode == "mean_sqrt_len_tokens":
        total_B1 = total_B1.sqrt()
    return (hidden_BTD * weights_BT1).sum(1) / total_B1


def _largest(hidden_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    least = torch.finfo(hidden_BTD.dtype).min
    seen_BTD = torch.where(keep_BT.unsqueeze(-1) > 0, hidden_BTD, least)
    return seen_BTD.amax(1) * _any(hidden_BTD, keep_BT)


def _at(hidden_BTD: Tensor, keep_BT: Tensor, *, last: bool) -> Tensor:
    """The state of the first or last real token.

    Positions are whole numbers throughout: a graph that is executed in bf16 cannot tell 257 from
    256.
    """
    tokens = hidden_BTD.shape[1]
    from_start_T = torch.arange(tokens, device=keep_BT.device)
    if last:
        index_B = (keep_BT * from_start_T).amax(1)
    else:
        index_B = tokens - 1 - (keep_BT * (tokens - 1 - from_start_T)).amax(1)
    index_B1D = index_B[:, None, None].expand(-1, 1, hidden_BTD.shape[2])
    return hidden_BTD.gather(1, index_B1D).squeeze(1) * _any(hidden_BTD, keep_BT)


def _any(hidden_BTD: Tensor, keep_BT: Tensor) -> Tensor:
    """1 for texts with a real token, [B, 1]."""
    return keep_BT.amax(1, keepdim=True).to(hidden_BTD.dtype)
