"""Spread a budget of units over the layers.

    uniform   every layer keeps the same share
    global    the best units of the whole model are kept, after each layer's scores are divided by
              their norm (Michel et al. 2019)

Widths are rounded to a `multiple` that suits kernels, and every layer keeps at least one multiple.
"""

import torch
from torch import Tensor


def allocate(scores: list[Tensor], share: float, multiple: int, spread: str) -> list[list[int]]:
    """Units to keep in each layer, ascending.

    Args:
        scores: One score per unit, [U], for each layer.
        share: Fraction of all units to keep, in (0, 1].
        multiple: Counts are rounded to this, at least one multiple per layer.
        spread: "uniform" or "global".
    """
    if spread == "uniform":
        counts = [share * len(layer) for layer in scores]
    else:
        normed = [layer / layer.norm().clamp(min=1e-12) for layer in scores]
        everything = torch.cat(normed)
        kept = max(1, round(share * len(everything)))
        threshold = everything.sort(descending=True).values[kept - 1]
        counts = [float((layer >= threshold).sum()) for layer in normed]
    widths = [
        min(len(layer), max(multiple, multiple * round(count / multiple)))
        for count, layer in zip(counts, scores, strict=True)
    ]
    return [
        sorted(layer.topk(width).indices.cpu().tolist())
        for layer, width in zip(scores, widths, strict=True)
    ]
