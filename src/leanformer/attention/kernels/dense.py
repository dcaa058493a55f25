"""Attention with any mask, written down whole: what every pattern of attention is held against.

    o_t = sum_s softmax_s(scaling * q_t . k_s)  v_s       over the keys s that t may see

Legend: B batch, H head, T token, S key token, D head width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def dense_attention(
    query_BHTD: Tensor,
    key_BHSD: Tensor,
    value_BHSD: Tensor,
    sees_BHTS: Tensor,
    *,
    scaling: float,
    dropout: float = 0.0,
) -> Tensor:
    """Values mixed by the softmax of the scores that the mask lets through, [B, H, T, D].

    Args:
        query_BHTD: Queries.
        key_BHSD: Keys.
        value_BHSD: Values.
        sees_BHTS: True where a query sees a key; B and H may be 1. A row that sees none is 0.
        scaling: Factor of the scores.
        dropout: Share of the weights that are dropped.
    """
    scores = query_BHTD @ key_BHSD.transpose(-1, -2) * scaling
    return mix(scores, value_BHSD, sees_BHTS, dropout)


def mix(scores_BHTS: Tensor, value_BHSD: Tensor, sees_BHTS: Tensor, dropout: float = 0.0) -> Tensor:
    """Values mixed by the softmax of given scores, [B, H, T, D]."""
    lowest = torch.finfo(scores_BHTS.dtype).min
    weights = scores_BHTS.masked_fill(~sees_BHTS, lowest).softmax(-1)
    weights = weights * sees_BHTS  # of a row that sees nothing
    return F.dropout(weights, dropout) @ value_BHSD


def visible(keep_BS: Tensor, at_BT: Tensor, causal: bool) -> Tensor:
    """Which keys are there and, when causal, not later than the query, [B, 1, T or 1, S]."""
    sees = keep_BS[:, None, None, :]
    if causal:
        places = torch.arange(keep_BS.shape[1], device=keep_BS.device)
        sees = sees & (places <= at_BT[:, None, :, None])
    return sees
