"""Ternary weights: each is -α, 0 or α; two bits of storage, and no multiplication in principle.

    Δ = 0.7 mean|w|        α = mean( |w| : |w| > Δ )        ŵ = α sign(w) 1[|w| > Δ]

Δ is the rule of thumb of ternary weight networks. The exact optimum of ‖w - ŵ‖² is cheap too: with
the k largest |w| kept the best α is their mean, and the error falls by (Σ_k |w|)² / k, so one sort
finds the best k. On a Gaussian the rule keeps 58 % of the weights and the optimum 54 %.

Legend: O out, I in.
"""

from typing import Literal

import torch
from torch import Tensor

from leanformer.core.technique import technique
from leanformer.numerics.blocks import Block, Quantized, blocked
from leanformer.quantize.quantizer import Quantizer, WeightStatistics, check_finite

_DELTA = 0.7


def threshold(weight_OI: Tensor, block: Block) -> Tensor:
    """Δ of each block, [O/r, 1, I/c, 1]: what is smaller becomes 0."""
    return _DELTA * blocked(weight_OI.abs(), block).mean(dim=(1, 3), keepdim=True)


def best_threshold(weight_OI: Tensor, block: Block) -> Tensor:
    """The Δ of least squared error of each block, [O/r, 1, I/c, 1]; costs a sort of the weight."""
    parts = blocked(weight_OI.abs(), block).transpose(1, 2)
    ordered, _ = parts.flatten(2).sort(dim=-1, descending=True)
    counts = torch.arange(1, ordered.shape[-1] + 1, dtype=ordered.dtype, device=ordered.device)
    best = (ordered.cumsum(-1).square() / counts).argmax(-1, keepdim=True)
    smallest = ordered.gather(-1, best)
    following = torch.cat([ordered, torch.zeros_like(ordered[..., :1])], -1).gather(-1, best + 1)
    return ((smallest + following) / 2).unsqueeze(1)


def ternary(weight_OI: Tensor, delta: Tensor, block: Block) -> Quantized:
    """The weight with everything below `delta` dropped, and the rest at its mean."""
    parts = blocked(weight_OI.detach(), block)
    size = parts.abs()
    kept = ones_above(size, delta)
    wide = torch.promote_types(parts.dtype, torch.float32)
    count = kept.sum(dim=(1, 3), keepdim=True, dtype=wide).clamp(min=1)
    alpha = ((size * kept).sum(dim=(1, 3), keepdim=True, dtype=wide) / count).to(parts.dtype)
    codes_OI = (parts.sign() * kept).to(torch.int8).reshape(weight_OI.shape)
    return Quantized(codes_OI, alpha, None, 2, block)


def ones_above(size: Tensor, delta: Tensor) -> Tensor:
    """1 where `size` lies above `delta`, else 0, as numbers of its type: truth values take a CPU
    seven times as long, to make and to multiply."""
    return size.clone().gt_(delta)


def ternary_block(weight_OI: Tensor, granularity: Literal["tensor", "row"]) -> Block:
    """The rows and columns that share one α."""
    rows, columns = weight_OI.shape
    return (rows, columns) if granularity == "tensor" else (1, columns)


@technique(
    "ternary", paper="Li et al. 2016 (TWN), arXiv:1605.04711; Zhang et al. 2020, arXiv:2009.12812"
)
class Ternary(Quantizer):
    """Keep the sign of large weights alone: a sixteenth of the size, to be trained with."""

    granularity: Literal["tensor", "row"] = "tensor"
    """What shares one α: the whole weight, as TernaryBERT's linear layers, or each row, as its word
    embedding."""
    optimal: bool = False
    """Find the Δ of least squared error in place of the rule of thumb; costs a sort each time."""

    @property
    def by_row(self) -> bool:
        """See `Quantizer.by_row`."""
        return self.granularity == "row"

    def quantize(self, weight_OI: Tensor, statistics: WeightStatistics | None = None) -> Quantized:
        """See `Quantizer.quantize`; no statistics are looked at."""
        check_finite(weight_OI)
        block = ternary_block(weight_OI, self.granularity)
        find = best_threshold if self.optimal else threshold
        return ternary(weight_OI, find(weight_OI.detach(), block), block)
