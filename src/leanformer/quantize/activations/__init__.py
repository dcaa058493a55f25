"""Every way to round activations."""

from leanformer.quantize.activations.activations import Activations, Rounding
from leanformer.quantize.activations.calibrated import Calibrated
from leanformer.quantize.activations.dynamic import Dynamic
from leanformer.quantize.activations.moving_average import MovingAverage

__all__ = ["Activations", "Calibrated", "Dynamic", "MovingAverage", "Rounding"]
