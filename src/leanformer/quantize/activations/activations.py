"""The interface of activation rounding: what stands before a layer and rounds its input.

    x̂ = clamp(round(x / scale) + zero_point, low, high),  dequantized      (`numerics.grid`)

A technique says where the scale comes from: each batch, a running mean, or a calibration. The
gradient passes straight through inside the range and is 0 where x was clipped; a scale is a
constant to it.

Legend: x has any shape, its last axis is the layer's input; N tokens of a batch.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from leanformer.numerics.grid import Grid, fake_quantize
from leanformer.quantize.post_training.clipping import Method


class Rounding(nn.Module, ABC):
    """The module that rounds; its state is saved with the model."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """`x` rounded, in its shape and type."""

    @abstractmethod
    def grid(self) -> Grid | None:
        """The one grid that it rounds to from now on; None where it depends on the batch."""


class Activations(ABC):
    """Rounds the inputs of layers.

    Attributes:
        calibration: How the ranges are chosen that `Rounding` must be told before it is used; None
            where it finds them itself.
    """

    family: ClassVar[str] = "activations"

    @property
    def calibration(self) -> Method | None:
        """None: most techniques need no calibration."""
        return None

    @abstractmethod
    def build(self, features: int) -> Rounding:
        """The module for a layer of so many input features."""


def round_to(x: Tensor, grid: Grid) -> Tensor:
    """`x` on the grid: of the whole tensor, or of each token where the scale is [N].

    Rounding is computed in fp32 at least, whatever the type of `x`.
    """
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    if grid.scale.ndim == 0:
        return fake_quantize(wide, grid).to(x.dtype)
    rows_NI = wide.reshape(-1, x.shape[-1])
    return fake_quantize(rows_NI, grid).reshape(x.shape).to(x.dtype)
