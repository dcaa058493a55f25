"""Calibrated ranges: found on real texts before the training, and fixed from then on.

    [low, high] = min-max, percentile or least squared error of the inputs of real tokens
    scale = (high - low) / 255        zero_point = round(-low / scale)

Padding is left out of the calibration (`leanformer.calibrate.ranges`). What the training makes
larger than the range is clipped, and gets no gradient from where it was.
"""

import torch
from torch import Tensor

from leanformer.core.technique import technique
from leanformer.numerics.grid import Grid, affine_grid
from leanformer.quantize.activations.activations import Activations, Rounding, round_to
from leanformer.quantize.post_training.clipping import Method


@technique("calibrated", paper="Jacob et al. 2018, arXiv:1712.05877")
class Calibrated(Activations):
    """Fix the range on real texts: the model trains against what will be executed."""

    method: Method = "min-max"
    """How the ends of a range are chosen from what was observed."""

    @property
    def calibration(self) -> Method | None:
        """The method of the calibration."""
        return self.method

    def build(self, features: int) -> Rounding:
        """A module that must be told its range by `calibrate` before it is used."""
        return CalibratedRounding()


class CalibratedRounding(Rounding):
    """Rounds to a fixed affine grid of 8 bits."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.zeros(()))
        self.register_buffer("zero_point", torch.zeros((), dtype=torch.int32))

    def calibrate(self, low: float, high: float) -> None:
        """Fix the range.

        Raises:
            ValueError: An end is not finite, or `low` lies above `high`.
        """
        grid = affine_grid(torch.tensor(low), torch.tensor(high))
        self.scale.copy_(grid.scale)
        self.zero_point.copy_(grid.zero_point)

    def forward(self, x: Tensor) -> Tensor:
        """`x` on the grid."""
        assert self.scale > 0, "calibrate comes first"
        return round_to(x, self._grid())

    def grid(self) -> Grid | None:
        """The grid; None before it is calibrated."""
        return self._grid() if self.scale > 0 else None

    def _grid(self) -> Grid:
        return Grid(self.scale, self.zero_point, 0, 255)
