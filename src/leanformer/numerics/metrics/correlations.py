"""Correlations of numbers, as sums over examples.

    Pearson     cov(x, y) / sqrt(var x · var y)
    Spearman    the same of u = F(x) - ½ and v = G(y) - ½, the mean ranks over n, less ½

Pearson is a function of six sums. Spearman is not a sum over examples: one example more moves the
ranks of all others. What it moves is linear in its weight to first order (Hájek's projection, also
called the infinitesimal jackknife): with h(x, X) = [x < X] + ½ [x = X], an example z adds

    to cov(u, v)    u_z v_z + a(x_z) + b(y_z) - 2 cov        a(x) = mean_i h(x, x_i) v_i
    to var(u)       u_z² + 2 mean_i h(x_z, x_i) u_i - 2 var      b(y) = mean_i h(y, y_i) u_i

The mean of these over the examples is the sample's own covariance and variance, so that the quality
itself is exact, and only under other weights is it first order. Ranks that are taken once and then
resampled (Pearson of fixed ranks) leave out a and b, and understate the spread: a test compares
both with a bootstrap that ranks anew each time. A constant side has no correlation: 0.

Legend: N example, K statistic, M made-up example.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio

Numbers = Sequence[float] | NDArray[np.floating]
_TINY = 1e-12  # a variance below this share is rounding


@dataclass(frozen=True)
class Pearson(Metric):
    """Pearson's correlation; statistics: 1, x, y, x², y², x y, of values centred and scaled."""

    name = "pearson"

    def statistics(self, predicted: Numbers, gold: Numbers) -> Statistics:
        """[N, 6]."""
        x, y = _standard(predicted), _standard(gold)
        return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Correlation; 0 where one side is constant."""
        count = totals[..., 0]
        x, y, xx, yy, xy = (ratio(totals[..., k], count) for k in range(1, 6))
        return _correlation(xy - x * y, xx - x * x, yy - y * y)

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """x of the one and y of the other."""
        one, x, xx, y, yy = golds[:, 0], answers[:, 1], answers[:, 3], golds[:, 2], golds[:, 4]
        return np.stack([one, x, y, xx, yy, x * y], axis=-1)


@dataclass(frozen=True)
class Spearman(Metric):
    """Pearson's correlation of the ranks, ties at their mean rank.

    Statistics: 1, the terms of the covariance and of both variances, and the parts that these are
    computed from: u, v, a, b.
    """

    name = "spearman"

    def statistics(self, predicted: Numbers, gold: Numbers) -> Statistics:
        """[N, 8]."""
        x, y = np.asarray(predicted, np.float64), np.asarray(gold, np.float64)
        u, v = _mid_ranks(x), _mid_ranks(y)
        covariance = u @ v / max(1, len(u))
        a, b = _mean_above(x, v) - covariance, _mean_above(y, u) - covariance
        spreads = [
            rank**2 + 2 * (_mean_above(values, rank) - rank @ rank / max(1, len(rank)))
            for values, rank in ((x, u), (y, v))
        ]
        return np.stack([np.ones_like(u), u * v + a + b, *spreads, u, v, a, b], axis=-1)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Correlation of ranks; 0 where one side is constant."""
        count = totals[..., 0]
        return _correlation(*(ratio(totals[..., k], count) for k in range(1, 4)))

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """x of the one and y of the other."""
        u, a, v, b = answers[:, 4], answers[:, 6], golds[:, 5], golds[:, 7]
        parts = [golds[:, 0], u * v + a + b, answers[:, 2], golds[:, 3], u, v, a, b]
        return np.stack(parts, axis=-1)


def _correlation(
    covariance: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    varies = ~((first <= _TINY) | (second <= _TINY))  # NaN goes on, and is seen
    below = np.sqrt(np.where(varies, first, 0)) * np.sqrt(np.where(varies, second, 0))
    return np.clip(ratio(covariance, below), -1, 1)


def _standard(values: Numbers) -> NDArray[np.float64]:
    """Values of mean 0 and spread 1; zeros where all are equal."""
    x = np.asarray(values, np.float64)
    if len(x) == 0 or (x == x[0]).all():
        return np.zeros_like(x)
    x = x - x.mean()
    return x / np.sqrt(np.mean(x * x))


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """F(x) - ½: the share of smaller values and half of the equal ones, less ½; NaN has no rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    smaller = np.cumsum(counts) - counts
    ranks = ((smaller + counts / 2) / max(1, len(values)) - 0.5)[inverse]
    return np.where(np.isnan(values), np.nan, ranks)


def _mean_above(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """mean_i h(x, x_i) w_i at every x: the weights of larger values and half of equal ones."""
    _, inverse = np.unique(values, return_inverse=True)
    sums = np.bincount(inverse, weights)
    return ((sums.sum() - np.cumsum(sums) + sums / 2) / max(1, len(values)))[inverse]
