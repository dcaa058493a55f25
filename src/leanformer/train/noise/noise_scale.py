"""The simple noise scale: from which batch size on more examples per step are wasted.

    E |G_B|^2 = |G|^2 + S / B                       larger batches have shorter gradients
    |G|^2 ~ (B |G_B|^2 - b |G_b|^2) / (B - b)       both without bias, from two sizes
    S     ~ (|G_b|^2 - |G_B|^2) / (1/b - 1/B)
    critical batch size = S / |G|^2

A batch far below it halves the steps when it is doubled; one far above it does not.

Legend: G the gradient over all data, S the sum of the variances of one example's gradient, G_B and
G_b gradients of batches of B and of b < B examples. McCandlish et al. 2018, arXiv:1812.06162.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class GradientNoise:
    """Gradient noise, measured or averaged over several measurements.

    Attributes:
        signal: |G|^2; an estimate may be below 0 where there is little of it.
        noise: S, likewise.
    """

    signal: float
    noise: float

    @property
    def critical_batch_size(self) -> float:
        """S / |G|^2, in examples; infinite where no signal was found, 0 where no noise was."""
        if self.noise <= 0:
            return 0.0
        return self.noise / self.signal if self.signal > 0 else math.inf


def estimate_noise(
    small_square: float, big_square: float, *, small: float, big: float
) -> GradientNoise:
    """Gradient noise from the squared norms of gradients of two batch sizes, without bias.

    Args:
        small_square: |G_b|^2, or its mean over several batches of b examples.
        big_square: |G_B|^2.
        small: b, in examples.
        big: B.

    Raises:
        ValueError: The sizes are not 0 < small < big.
    """
    if not 0 < small < big:
        raise ValueError(
            f"small, big: noise is told from batches of two sizes, the smaller one first, and not "
            f"of {small:g} and {big:g}"
        )
    signal = (big * big_square - small * small_square) / (big - small)
    noise = (small_square - big_square) / (1 / small - 1 / big)
    return GradientNoise(signal, noise)


def mean_noise(measured: Iterable[GradientNoise]) -> GradientNoise:
    """The means of signal and of noise: a mean of their ratios would be biased.

    Raises:
        ValueError: There is nothing to average.
    """
    found = list(measured)
    if not found:
        raise ValueError("measured: nothing was measured, so that there is no mean of it")
    signal = sum(one.signal for one in found) / len(found)
    return GradientNoise(signal, sum(one.noise for one in found) / len(found))


class MovingNoise:
    """Exponential moving averages of signal and of noise, while the weights change.

    Args:
        decay: How much of the averages stays at each measurement.
    """

    def __init__(self, decay: float = 0.9) -> None:
        self.decay = decay
        self._sums = GradientNoise(0.0, 0.0)
        self._weight = 0.0

    def update(self, measured: GradientNoise) -> GradientNoise:
        """The averages with `measured` in them, without the pull of their start at 0."""
        kept, new = self.decay, 1 - self.decay
        self._sums = GradientNoise(
            kept * self._sums.signal + new * measured.signal,
            kept * self._sums.noise + new * measured.noise,
        )
        self._weight = kept * self._weight + new
        return GradientNoise(self._sums.signal / self._weight, self._sums.noise / self._weight)


def steps_over_least(batch_size: float, critical_batch_size: float) -> float:
    """Steps to a loss, in terms of the least with which any batch size reaches it: 1 + C / B."""
    return 1 + critical_batch_size / batch_size


def examples_over_least(batch_size: float, critical_batch_size: float) -> float:
    """Examples to a loss, in terms of the least with which any batch size reaches it: 1 + B / C."""
    return 1 + batch_size / critical_batch_size
