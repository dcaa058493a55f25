"""Loss-aware ternary weights: large where the loss is steep, not only where the weight is large.

    min over α, b ∈ {-1, 0, 1}    Σ_n d_n (w_n - α b_n)²            d = √v of Adam

    b ← sign(w) 1[|w| > α/2]          α ← Σ_n d_n b_n w_n / Σ_n d_n |b_n|           in turn

√v, the root of Adam's running mean of squared gradients, stands for the curvature of the loss. Each
of the two steps is exact given the other, so the objective never rises; it begins at the plain
ternary solution. Before the first gradient there is no v, and the result is the plain one.

Legend: O out, I in, n weight of a block.
"""

from typing import Literal

import torch
from torch import Tensor

from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.numerics.blocks import Block, Quantized, blocked
from leanformer.quantize.quantizer import Quantizer, WeightStatistics, check_finite
from leanformer.quantize.quantizers.ternary import (
    ones_above,
    ternary,
    ternary_block,
    threshold,
)

_SMALLEST = torch.finfo(torch.float32).tiny


def loss_aware(
    weight_OI: Tensor, curvature_OI: Tensor, block: Block, iterations: int = 10
) -> Quantized:
    """The ternary weight of least weighted error that alternation finds.

    Args:
        weight_OI: The latent weight.
        curvature_OI: d, not negative.
        block: Rows and columns that share one α.
        iterations: Rounds of both steps.
    """
    first = ternary(weight_OI, threshold(weight_OI, block), block)
    parts, steep = blocked(weight_OI, block), blocked(curvature_OI, block)
    size = parts.abs()
    loss = steep * size
    alpha, kept = first.scale, blocked(first.codes_OI, block).abs().to(parts.dtype)
    for _ in range(iterations):
        weighted = (loss * kept).sum(dim=(1, 3), keepdim=True)
        mass = (steep * kept).sum(dim=(1, 3), keepdim=True)
        # a block without curvature, or with all codes 0, keeps its α
        alpha = torch.where(mass > _SMALLEST, weighted / mass.clamp(min=_SMALLEST), alpha)
        kept = ones_above(size, alpha / 2)
    codes_OI = (parts.sign() * kept).to(torch.int8).reshape(weight_OI.shape)
    return Quantized(codes_OI, alpha, None, 2, block)


@technique("ternary-loss-aware", paper="Hou and Kwok 2018 (LAT), arXiv:1802.08635")
class TernaryLossAware(Quantizer):
    """Ternary weights that follow the loss's curvature while they are trained."""

    uses_second_moment = True

    granularity: Literal["tensor", "row"] = "tensor"
    """What shares one α: the whole weight, or each row."""
    iterations: Count = 10
    """Rounds of alternation."""

    def quantize(self, weight_OI: Tensor, statistics: WeightStatistics | None = None) -> Quantized:
        """See `Quantizer.quantize`; plain ternary weights before there are second moments."""
        check_finite(weight_OI)
        weight_OI = weight_OI.detach()
        block = ternary_block(weight_OI, self.granularity)
        moment_OI = statistics.second_moment_OI if statistics is not None else None
        if moment_OI is None:
            return ternary(weight_OI, threshold(weight_OI, block), block)
        return loss_aware(weight_OI, moment_OI.sqrt(), block, self.iterations)
