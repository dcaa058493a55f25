"""Second-order rounding (GPTQ): the error of each column is made up for by the columns after it.

    min over codes   ‖ W X - Ŵ X ‖²          H = E[x xᵀ],  H⁻¹ = Uᵀ U  (U upper triangular)

    for column i:    ŵ_i = grid(w_i);   e = (w_i - ŵ_i) / U_ii;   w_j ← w_j - e U_ij  for j > i

Nearest rounding takes each weight for itself; here what a column loses is moved to columns whose
inputs rise and fall with its own, which costs nothing where inputs are correlated, and they always
are. The rows of U are the OBS updates of Hassibi and Stork for one column after the other, so the
inverse is never updated. The grid is the float weight's own, fixed beforehand.

Legend: O out, I in.
"""

import torch
from torch import Tensor

from leanformer.core.technique import technique
from leanformer.numerics.blocks import Quantized, blocked
from leanformer.quantize.quantizer import Quantizer, WeightStatistics, check_finite
from leanformer.quantize.quantizers.uniform import Uniform


def compensated(
    weight_OI: Tensor, hessian_II: Tensor, given: Quantized, damping: float, ordered: bool
) -> Tensor:
    """The codes of the weight on the grid of `given`, columns compensated in turn, int8 [O, I].

    Args:
        weight_OI: The float weight.
        hessian_II: Mean of x xᵀ over the layer's inputs.
        given: The same weight rounded to nearest, whose scales and zero points are used.
        damping: Share of the mean diagonal that is added to the diagonal.
        ordered: Begin with the columns of the largest inputs.
    """
    hessian_II = hessian_II.double()
    diagonal_I = hessian_II.diagonal()
    order_I = diagonal_I.argsort(descending=True) if ordered else torch.arange(len(diagonal_I))
    factor_II = inverse_factor(hessian_II[order_I][:, order_I], damping)
    scale_OI, zero_OI = (spread(values, given)[:, order_I] for values in _grid(given))
    left_OI = weight_OI.detach().double()[:, order_I].clone()
    codes_OI = torch.empty_like(left_OI)
    half = 2 ** (given.bits - 1)
    lowest = 1 - half if given.zero_point is None else -half
    for column in range(left_OI.shape[1]):
        scale_O, zero_O = scale_OI[:, column], zero_OI[:, column]
        codes_O = (torch.round(left_OI[:, column] / scale_O) + zero_O).clamp(lowest, half - 1)
        codes_OI[:, column] = codes_O
        error_O = (left_OI[:, column] - (codes_O - zero_O) * scale_O) / factor_II[column, column]
        left_OI[:, column + 1 :] -= error_O[:, None] * factor_II[column, column + 1 :]
    back_I = order_I.argsort()
    return codes_OI[:, back_I].to(torch.int8)


def inverse_factor(hessian_II: Tensor, damping: float) -> Tensor:
    """U, upper triangular, with Uᵀ U = (H + damping)⁻¹.

    Inputs that are always zero have no curvature; the damping alone stands for theirs.
    """
    damped_II = hessian_II.clone()
    damped_II.diagonal().add_(damping * float(hessian_II.diagonal().mean()))
    inverse_II = torch.cholesky_inverse(torch.linalg.cholesky(damped_II))
    factor_II: Tensor = torch.linalg.cholesky(inverse_II, upper=True)
    return factor_II


def spread(values: Tensor, given: Quantized) -> Tensor:
    """A value of each block at each weight, [O, I]."""
    return values.expand(blocked(given.codes_OI, given.block).shape).reshape(given.codes_OI.shape)


def _grid(given: Quantized) -> tuple[Tensor, Tensor]:
    zero = torch.zeros_like(given.scale) if given.zero_point is None else given.zero_point
    return given.scale.double(), zero.double()


@technique("gptq", paper="Frantar et al. 2022, arXiv:2210.17323")
class Gptq(Quantizer):
    """Round column after column and let the next ones make up for the error: for 3 and 4 bits."""

    needs_hessian = True

    grid: Uniform = Uniform(bits=4, per="columns", group=128)
    """The values that a weight may take."""
    damping: float = 0.01
    """Share of the mean diagonal added to the Hessian, so that it can be inverted."""
    ordered: bool = True
    """Begin with the columns of the largest inputs, while there are many to make up for them."""

    def __post_init__(self) -> None:
        if self.damping <= 0:
            raise ValueError(f"damping: {self.damping} is not positive; 0.01 is usual")

    def quantize(self, weight_OI: Tensor, statistics: WeightStatistics | None = None) -> Quantized:
        """See `Quantizer.quantize`."""
        check_finite(weight_OI)
        hessian_II = statistics.hessian_II if statistics is not None else None
        if hessian_II is None:
            raise ValueError(
                "gptq: the layer's inputs were not gathered (hessian_II); it cannot be a rounding "
                "of quantization-aware training, use uniform there"
            )
        inputs = weight_OI.shape[1]
        if hessian_II.shape != (inputs, inputs) or not torch.isfinite(hessian_II).all():
            raise ValueError(
                f"hessian_II: it is {tuple(hessian_II.shape)} and must be finite and "
                f"{inputs} x {inputs}, as wide as the weight"
            )
        given = self.grid.quantize(weight_OI)
        codes_OI = compensated(weight_OI, hessian_II, given, self.damping, self.ordered)
        return Quantized(codes_OI, given.scale, given.zero_point, given.bits, given.block)
