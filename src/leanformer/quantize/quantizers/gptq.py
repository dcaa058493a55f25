"""Second-order rounding (GPTQ): the columns after each column compensate its error.

    min over codes   ‖ W X - Ŵ X ‖²          H = E[x xᵀ],  H⁻¹ = Uᵀ U  (U upper triangular)

    for column i:    ŵ_i = grid(w_i);   e = (w_i - ŵ_i) / U_ii;   w_j ← w_j - e U_ij  for j > i

Rounding to nearest takes each weight for itself. Here the error of a column is compensated by later
columns whose inputs are correlated with its own, as a transformer's always are. The rows of U are
the OBS updates of Hassibi and Stork for one column after the other, so the inverse is never
updated. The grid is the float weight's own, fixed beforehand. Columns are taken in blocks: within a
block the next columns are updated at once, later blocks by one product at its end, which gives the
same numbers and reads the weight I / block_size times in place of I.

Legend: O out, I in.
"""

import torch
from torch import Tensor

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.numerics.blocks import Quantized, blocked
from leanformer.numerics.inverse_factor import inverse_factor
from leanformer.quantize.quantizer import Quantizer, WeightStatistics, check_finite
from leanformer.quantize.quantizers.uniform import Uniform


def compensated(
    weight_OI: Tensor,
    hessian_II: Tensor,
    given: Quantized,
    damp_percent: float,
    act_order: bool,
    block_size: int = 128,
) -> Tensor:
    """The codes of the weight on the grid of `given`, columns compensated in turn, int8 [O, I].

    Args:
        weight_OI: The float weight.
        hessian_II: Mean of x xᵀ over the layer's inputs.
        given: The same weight rounded to nearest, whose scales and zero points are used.
        damp_percent: Share of the mean diagonal that is added to the diagonal; 0.01 is one percent.
        act_order: Begin with the columns of the largest inputs.
        block_size: Columns after which later blocks are updated; changes only the time.

    Raises:
        ValueError: The damped Hessian is not positive definite.
    """
    hessian_II = hessian_II.double()
    diagonal_I = hessian_II.diagonal()
    order_I = torch.arange(len(diagonal_I), device=diagonal_I.device)
    if act_order:
        order_I = diagonal_I.argsort(descending=True, stable=True)
    factor_II = inverse_factor(hessian_II[order_I][:, order_I], damp_percent)
    scale_OI, zero_OI = (spread(values, given)[:, order_I] for values in _grid(given))
    left_OI = weight_OI.detach().double()[:, order_I].clone()
    codes_OI, error_OI = torch.empty_like(left_OI), torch.empty_like(left_OI)
    half = 2 ** (given.bits - 1)
    lowest = 1 - half if given.zero_point is None else -half
    for start in range(0, left_OI.shape[1], block_size):
        end = min(start + block_size, left_OI.shape[1])
        for i in range(start, end):
            codes_O = torch.round(left_OI[:, i] / scale_OI[:, i]) + zero_OI[:, i]
            codes_OI[:, i] = codes_O.clamp(lowest, half - 1)
            rounded_O = (codes_OI[:, i] - zero_OI[:, i]) * scale_OI[:, i]
            error_OI[:, i] = (left_OI[:, i] - rounded_O) / factor_II[i, i]
            left_OI[:, i + 1 : end] -= error_OI[:, i, None] * factor_II[i, i + 1 : end]
        left_OI[:, end:] -= error_OI[:, start:end] @ factor_II[start:end, end:]
    return codes_OI[:, order_I.argsort()].to(torch.int8)


def spread(values: Tensor, given: Quantized) -> Tensor:
    """A value of each block at each weight, [O, I]."""
    return values.expand(blocked(given.codes_OI, given.block).shape).reshape(given.codes_OI.shape)


def _grid(given: Quantized) -> tuple[Tensor, Tensor]:
    zero = torch.zeros_like(given.scale) if given.zero_point is None else given.zero_point
    return given.scale.double(), zero.double()


@technique("gptq", paper="Frantar et al. 2022, arXiv:2210.17323")
class Gptq(Quantizer):
    """Round column after column and let later ones compensate the error: for 3 and 4 bits."""

    needs_hessian = True

    grid: Uniform = Uniform(bits=4, granularity="group", group_size=128)
    """The values that a weight may take."""
    damp_percent: Positive = 0.01
    """Share of the mean diagonal added to the Hessian, so that it can be inverted; 0.01 is one
    percent."""
    act_order: bool = True
    """Begin with the columns of the largest inputs, while many columns are left to compensate."""

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
        codes_OI = compensated(weight_OI, hessian_II, given, self.damp_percent, self.act_order)
        return Quantized(codes_OI, given.scale, given.zero_point, given.bits, given.block)
