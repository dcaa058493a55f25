"""Integer grids: which real numbers eight bits can say, and the rounding of a tensor to them.

    q = clamp(round(x / scale) + zero_point, low, high)          x̂ = (q - zero_point) · scale

Inside the range |x - x̂| ≤ scale / 2. Activations use the affine grid (0 … 255, zero exactly
representable, so that a masked or ReLU'd zero stays zero); weights the symmetric one (-127 … 127,
zero point 0), one scale per output row, which integer kernels multiply without a correction term.
Rounding has no useful derivative: `fake_quantize` passes the gradient straight through inside the
range and stops it outside.

Legend: O out, I in; a grid of a whole tensor has scalar tensors, a grid by row has shape [O].
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_COARSER = 9 / 8  # steps of a signed grid may be so much larger than those of an affine one
_SMALLEST = torch.finfo(torch.float32).eps  # a range of zero width still needs a step to divide by


@dataclass(frozen=True, eq=False)
class Grid:
    """A scale, a zero point, and the integers in use.

    Attributes:
        scale: The step between neighbours; scalar, or one for each row.
        zero_point: The integer that means 0.0, int32, shaped like `scale`.
        low: The smallest integer.
        high: The largest integer.
    """

    scale: Tensor
    zero_point: Tensor
    low: int
    high: int


def affine_grid(low: Tensor, high: Tensor, bits: int = 8) -> Grid:
    """The unsigned grid over [low, high], widened where needed to contain zero.

    Raises:
        ValueError: `bits` is not 2 to 8, or a range is not finite or is empty.
    """
    _check_bits(bits)
    if not (torch.isfinite(low).all() and torch.isfinite(high).all()):
        raise ValueError(f"range: [{low}, {high}] is not finite; look for NaN in the activations")
    if (low > high).any():
        raise ValueError(f"range: low {low} lies above high {high}")
    top = 2**bits - 1
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = ((high - low) / top).clamp(min=_SMALLEST)
    zero_point = torch.round(-low / scale).clamp(0, top).to(torch.int32)
    return Grid(scale, zero_point, 0, top)


def symmetric_grid(bound: Tensor, bits: int = 8) -> Grid:
    """The signed grid over [-bound, bound] without the lowest integer, so that it is symmetric.

    Raises:
        ValueError: `bits` is not 2 to 8, or a bound is negative or not finite.
    """
    _check_bits(bits)
    if not torch.isfinite(bound).all() or (bound < 0).any():
        raise ValueError(f"bound: {bound} must be finite and not negative")
    top = 2 ** (bits - 1) - 1
    scale = (bound / top).clamp(min=_SMALLEST)
    return Grid(scale, torch.zeros_like(scale, dtype=torch.int32), -top, top)


def input_grid(low: Tensor, high: Tensor) -> Grid:
    """The 8-bit grid of a product's inputs: signed where that is hardly coarser, affine elsewhere.

    A signed grid has no zero point, and a kernel no correction term. It has the lowest integer too,
    where kernels clip.

    Raises:
        ValueError: The range is not finite or is empty.
    """
    affine, signed = affine_grid(low, high), symmetric_grid(torch.maximum(-low, high))
    if signed.scale > _COARSER * affine.scale:
        return affine
    return Grid(signed.scale, signed.zero_point, signed.low - 1, signed.high)


def row_grid(weight_OI: Tensor, bits: int = 8) -> Grid:
    """The symmetric grid of a weight matrix, one scale for each output row."""
    return symmetric_grid(weight_OI.detach().abs().amax(dim=1), bits)


def quantize(x: Tensor, grid: Grid) -> Tensor:
    """The integers of `x`, as floats; a grid of rows is laid along the first axis."""
    scale, zero_point = _aligned(grid, x)
    return (torch.round(x * (1 / scale)) + zero_point).clamp(grid.low, grid.high)


def dequantize(codes: Tensor, grid: Grid) -> Tensor:
    """The real numbers that `codes` stand for."""
    scale, zero_point = _aligned(grid, codes)
    return (codes - zero_point) * scale


def fake_quantize(x: Tensor, grid: Grid) -> Tensor:
    """`x` rounded to the grid; d/dx is 1 inside the range and 0 where `x` was clipped.

    torch's own kernel takes ten times as long on a CPU, and so does a mask of what is inside: it is
    made only where something is clipped and a gradient is asked for.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _rounded(x, grid)[0]
    result: Tensor = _FakeQuantize.apply(x, grid)
    return result


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, grid: Grid) -> Tensor:
        rounded, codes = _rounded(x, grid)
        low, high = codes.aminmax() if codes.numel() else (codes.sum(), codes.sum())
        context.clips = bool(low < grid.low) or bool(high > grid.high)
        if context.clips:
            context.save_for_backward((codes >= grid.low) & (codes <= grid.high))
        return rounded

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        if context.clips:
            (inside,) = context.saved_tensors
            gradient = gradient * inside
        return gradient, None


def _rounded(x: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """`x` on the grid, and its codes before they are clipped."""
    scale, zero_point = _aligned(grid, x)
    codes = (x.detach() * (1 / scale)).round_().add_(zero_point)
    return codes.clamp(grid.low, grid.high).sub_(zero_point).mul_(scale), codes


def _aligned(grid: Grid, x: Tensor) -> tuple[Tensor, Tensor]:
    if grid.scale.ndim == 0:
        return grid.scale, grid.zero_point
    shape = (-1, *[1] * (x.ndim - 1))
    return grid.scale.reshape(shape), grid.zero_point.reshape(shape)


def _check_bits(bits: int) -> None:
    if not 2 <= bits <= 8:
        raise ValueError(f"bits: {bits} is not between 2 and 8")
