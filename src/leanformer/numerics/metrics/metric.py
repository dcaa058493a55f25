"""The interface of metrics: a sum of statistics over examples, and a function of that sum.

    q = value(sum_i w_i s_i)        s_i: statistics of example i        w_i = 1: the plain quality

In this form a quality can be computed under any weights w without running a model again: whole
weights make a bootstrap, random positive ones a Bayesian bootstrap (`numerics.paired_bootstrap`).

Legend: N example, K statistic, M made-up example; `...` any leading axes.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Statistics = NDArray[Any]


class Metric(ABC):
    """A quality of predictions; higher is better, 1 is perfect.

    `value` does not depend on the scale of the totals: twice the examples, the same quality.
    """

    name: str
    """Its name in recipes, records and reports."""
    unit: ClassVar[str] = "text"
    """What a row of statistics is of, and what a bootstrap resamples: "text" or "query"."""

    @abstractmethod
    def statistics(self, predicted: Any, gold: Any) -> Statistics:
        """Statistics of each example, [N, K], to be summed; of each query where `unit` says so.

        Args:
            predicted: One answer per example.
            gold: The right answers, one per example.
        """

    @abstractmethod
    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Quality from weighted sums of statistics, [..., K] -> [...].

        A zero denominator never gives NaN.
        """

    @abstractmethod
    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """Statistics of made-up examples, [M, K] and [M, K] -> [M, K].

        Example m has the gold of row m of `golds` and the answer of row m of `answers`.
        """

    def score(self, predicted: Any, gold: Any) -> float:
        """Quality of these predictions."""
        statistics = self.statistics(predicted, gold)
        return float(self.value(statistics.sum(axis=0, dtype=np.float64)))


def ratio(above: NDArray[Any], below: NDArray[Any], otherwise: float = 0.0) -> NDArray[np.float64]:
    """`above / below`; `otherwise` where `below` is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, otherwise), where=below != 0)
