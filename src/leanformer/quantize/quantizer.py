"""The interface of quantizers: a weight in, integer codes and their scales out.

A quantizer is a frozen description; `quantize` is a pure function of the weight and of what was
gathered about it on data. It is what quantization-aware training rounds with in every step, what a
packed checkpoint stores, and what an exporter turns into integer kernels.

Legend: O out, I in.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from leanformer.numerics.blocks import Quantized


@dataclass(frozen=True, eq=False)
class WeightStatistics:
    """What is known about a weight besides its values; a quantizer names what it needs.

    Attributes:
        hessian_II: Mean of x xᵀ over the layer's real inputs.
        second_moment_OI: Adam's running mean of squared gradients.
    """

    hessian_II: Tensor | None = None
    second_moment_OI: Tensor | None = None


class Quantizer(ABC):
    """Rounds a weight to integers.

    Attributes:
        needs_hessian: Whether `WeightStatistics.hessian_II` must be given.
        uses_second_moment: Whether `WeightStatistics.second_moment_OI` is looked at where there is
            one.
    """

    family: ClassVar[str] = "quantizer"
    needs_hessian: ClassVar[bool] = False
    uses_second_moment: ClassVar[bool] = False

    @property
    def by_row(self) -> bool:
        """Whether a row's codes and scales depend on that row alone: some can be rounded then
        without the others."""
        return False

    @abstractmethod
    def quantize(self, weight_OI: Tensor, statistics: WeightStatistics | None = None) -> Quantized:
        """The weight in integers.

        Raises:
            ValueError: The blocks do not tile the weight, a value is not finite, or a statistic
                that is needed is missing.
        """


def check_finite(weight_OI: Tensor) -> None:
    """Refuse a weight that no grid can hold.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    if not torch.isfinite(torch.stack(weight_OI.aminmax())).all():  # NaN is an end of any range
        raise ValueError("weight: it holds NaN or infinity; look where training diverged")
