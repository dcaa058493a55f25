"""A softmax over parts of the keys, merged: attention where no one reads all keys at once.

    part     peak = max_s x_s,  weight = sum_s exp(x_s - peak),  mixed = sum_s exp(x_s - peak) v_s
    merged   o = sum_p exp(peak_p - peak) mixed_p / sum_p exp(peak_p - peak) weight_p

A part is one tensor, [mixed | weight | peak] along the head width, so that it is cut, joined and
reordered like any other.

Legend: B batch, H head, T token, S key token, D head width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def partial_attention(
    query_BHTD: Tensor,
    key_BHSD: Tensor,
    value_BHSD: Tensor,
    sees_BHTS: Tensor | None,
    *,
    scaling: float,
    dropout: float = 0.0,
) -> Tensor:
    """What these keys give, unfinished, [B, H, T, D + 2] in float32 or better.

    Args:
        query_BHTD: Queries.
        key_BHSD: The keys of this part.
        value_BHSD: Their values.
        sees_BHTS: True where a query sees a key, or what is added to scores; None = everywhere. B,
            H may be 1.
        scaling: Factor of the scores.
        dropout: Share of the weights that are dropped.
    """
    wide = torch.promote_types(query_BHTD.dtype, torch.float32)
    scores = ((query_BHTD * scaling) @ key_BHSD.transpose(-1, -2)).to(wide)
    lowest = torch.finfo(wide).min / 4
    if sees_BHTS is not None and sees_BHTS.is_floating_point():
        scores.add_(sees_BHTS.to(wide))  # in place: no other copy of the scores is needed
    elif sees_BHTS is not None:  # arithmetic, as in `leanformer.attention.kernels.blocked.bias_of`
        scores.add_(sees_BHTS.to(wide).sub_(1).mul_(-lowest))
    peak = scores.detach().amax(-1, keepdim=True)
    weights = scores.sub_(peak).exp_()
    mixed = F.dropout(weights, dropout) @ value_BHSD.to(wide)
    part = torch.cat([mixed, weights.sum(-1, keepdim=True)], dim=-1)
    return torch.cat([part * (peak > lowest / 2), peak], dim=-1)  # an empty row gives nothing


def merge_partials(parts: list[Tensor], dtype: torch.dtype) -> Tensor:
    """The softmax over all parts together, [B, H, T, D]; a row that no part gives to is 0."""
    peaks = [part[..., -1:].detach() for part in parts]  # the sums do not depend on them
    peak = torch.stack(peaks).amax(0)
    total = sum(part[..., :-1] * (own - peak).exp() for part, own in zip(parts, peaks, strict=True))
    assert isinstance(total, Tensor)
    mixed, weight = total[..., :-1], total[..., -1:]
    return (mixed / weight.masked_fill(weight == 0, 1)).to(dtype)
