"""Uniform grids: equally spaced values of 2 to 8 bits, one scale for each block of the weight.

    symmetric    s = max|w| / (2^(b-1) - 1)       q = round(w / s)              no zero point
    affine       s = (max w - min w) / (2^b - 1)  q = round(w / s) + z          zero is exact

Rounding is half to even. The symmetric grid leaves the lowest integer out, so that both sides are
alike (narrow range). Inside the range |w - ŵ| ≤ s / 2. A range that is a little too narrow
clips a few weights and rounds all others finer: `clipping = "mse"` tries shrunk ranges and keeps,
block by block, the one of least squared error.

`granularity` says what shares a scale:

    "tensor"   the whole weight                "group"       `group_size` columns of one row
    "row"      one row (an output channel)     "row-group"   `group_size` whole rows

GPTQ and AWQ use "group". Q-BERT uses "row-group": a head's outputs are d / N_h consecutive rows,
and every d / (2 N_h) of them share one range: `num_groups` = 2 N_h. Its headline results have
`num_groups` = 128.

Legend: O out, I in, r x c the block, d model width, N_h heads.
"""

from typing import Literal

import torch
from torch import Tensor

from leanformer.core.ranges import Bits, Index
from leanformer.core.technique import technique
from leanformer.numerics.blocks import Block, Quantized, blocked
from leanformer.quantize.quantizer import Quantizer, WeightStatistics, check_finite

Granularity = Literal["tensor", "row", "group", "row-group"]
_SMALLEST = torch.finfo(torch.float32).eps  # a block of zeros still needs a step to divide by
_SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.4)


def grid(
    weight_OI: Tensor, block: Block, bits: int, *, symmetric: bool, shrink: float | Tensor = 1.0
) -> tuple[Tensor, Tensor | None]:
    """Scale and zero point of each block, [O/r, 1, I/c, 1]; no zero point where it is symmetric.

    Args:
        weight_OI: The weight.
        block: Rows and columns that share a scale.
        bits: Of a code.
        symmetric: Which of the two grids.
        shrink: The range is scaled by this; 1 holds every weight.

    Affine codes are shifted by 2^(b-1), so that they fit signed integers.
    """
    parts = blocked(weight_OI.detach(), block)
    if symmetric:
        bound = parts.abs().amax(dim=(1, 3), keepdim=True) * shrink
        return (bound / (2 ** (bits - 1) - 1)).clamp(min=_SMALLEST), None
    low = parts.amin(dim=(1, 3), keepdim=True).clamp(max=0) * shrink
    high = parts.amax(dim=(1, 3), keepdim=True).clamp(min=0) * shrink
    scale = ((high - low) / (2**bits - 1)).clamp(min=_SMALLEST)
    zero_point = torch.round(-low / scale) - 2 ** (bits - 1)
    return scale, zero_point.to(torch.int8)


def rounded(
    weight_OI: Tensor, block: Block, bits: int, scale: Tensor, zero_point: Tensor | None
) -> Quantized:
    """The weight on a given grid; what lies outside is clipped."""
    half = 2 ** (bits - 1)
    codes = torch.round(blocked(weight_OI.detach(), block) / scale)
    if zero_point is not None:
        codes = codes + zero_point
    lowest = -half if zero_point is not None else 1 - half
    codes_OI = codes.clamp(lowest, half - 1).to(torch.int8).reshape(weight_OI.shape)
    return Quantized(codes_OI, scale, zero_point, bits, block)


@technique(
    "uniform", paper="Jacob et al. 2018, arXiv:1712.05877; Shen et al. 2020, arXiv:1909.05840"
)
class Uniform(Quantizer):
    """Round to equally spaced values: the grid of integer kernels, 2 to 8 bits."""

    bits: Bits = 8
    """Bits of a code."""
    symmetric: bool = True
    """The same range on both sides of zero, as integer kernels multiply fastest; or each block's
    own two ends."""
    granularity: Granularity = "row"
    """What shares a scale: the whole weight, each row, a group of a row's columns, or a group of
    rows."""
    group_size: Index = 0
    """Columns (or rows) per group."""
    num_groups: Index = 0
    """Groups per row (or per weight), in place of `group_size`: Q-BERT's 128."""
    clipping: Literal["min-max", "mse"] = "min-max"
    """Whether the range holds every weight, or clips where that makes the error smaller."""

    def __post_init__(self) -> None:
        grouped = self.granularity in ("group", "row-group")
        if grouped and (self.group_size > 0) == (self.num_groups > 0):
            raise ValueError(
                f'group_size: with granularity = "{self.granularity}" set exactly one of '
                "group_size and num_groups"
            )
        if not grouped and (self.group_size or self.num_groups):
            raise ValueError(
                f'group_size: granularity = "{self.granularity}" has no groups; set it to "group" '
                'or "row-group"'
            )

    @property
    def by_row(self) -> bool:
        """See `Quantizer.by_row`."""
        return self.granularity in ("row", "group")

    def block(self, weight_OI: Tensor) -> Block:
        """The rows and columns of `weight_OI` that share a scale.

        Raises:
            ValueError: The groups do not divide the weight.
        """
        rows, columns = weight_OI.shape
        if self.granularity == "tensor":
            return rows, columns
        if self.granularity == "row":
            return 1, columns
        length, noun = (columns, "columns") if self.granularity == "group" else (rows, "rows")
        field = "group_size" if self.group_size else "num_groups"
        given = getattr(self, field)
        if length % given:
            raise ValueError(
                f"{field}: {given} does not divide the {length} {noun} of a weight of {rows} x "
                f"{columns}"
            )
        size = self.group_size or length // self.num_groups
        return (1, size) if self.granularity == "group" else (size, columns)

    def quantize(self, weight_OI: Tensor, statistics: WeightStatistics | None = None) -> Quantized:
        """See `Quantizer.quantize`; no statistics are looked at."""
        check_finite(weight_OI)
        block = self.block(weight_OI)
        scale, zero_point = grid(weight_OI, block, self.bits, symmetric=self.symmetric)
        if self.clipping == "mse":
            scale, zero_point = self._narrowed(weight_OI, block)
        return rounded(weight_OI, block, self.bits, scale, zero_point)

    def _narrowed(self, weight_OI: Tensor, block: Block) -> tuple[Tensor, Tensor | None]:
        """The grid of least squared error of each block."""
        best: tuple[Tensor, Tensor, Tensor | None] | None = None
        for shrink in _SHRINK:
            scale, zero = grid(weight_OI, block, self.bits, symmetric=self.symmetric, shrink=shrink)
            found_OI = rounded(weight_OI, block, self.bits, scale, zero).dequantized()
            error = blocked((found_OI - weight_OI).square(), block).sum(dim=(1, 3), keepdim=True)
            if best is None:
                best = error, scale, zero
                continue
            better = error < best[0]
            kept = None if zero is None or best[2] is None else torch.where(better, zero, best[2])
            best = torch.minimum(error, best[0]), torch.where(better, scale, best[1]), kept
        assert best is not None
        return best[1], best[2]
