"""How a budget of units is spread over the layers.

    uniform   every layer keeps the same share
    global    the best units of the whole model are kept, scores being divided by their layer's
    norm (Michel et al. 2019)

Widths are rounded to what kernels like (`multiple`), and every layer keeps at least one such block.
"""

import torch
from torch import Tensor


def allocate(scores: list[Tensor], share: float, multiple: int, spread: str) -> list[list[int]]:
    """Units to keep by layer, ascending.

    Args:
        scores: One score a unit, [U], for each layer.
        share: Fraction of all units to keep, in (0, 1].
        multiple: Kept counts are rounded to this, at least one such block a layer.
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
        sorted(layer.topk(width).indices.tolist())
        for layer, width in zip(scores, widths, strict=True)
    ]
