"""Metrics of one label per example, from counts by class.

    accuracy   c / n
    F1_k       2 tp_k / (p_k + g_k)
    macro F1   mean of F1_k over the classes with p_k + g_k > 0
    MCC        (c n - sum_k p_k g_k) / sqrt((n² - sum_k p_k²) (n² - sum_k g_k²))

n examples, c of them right; of class k: tp_k right, p_k answered, g_k in gold. A class that occurs
neither in gold nor among the answers is not averaged over, as in scikit-learn; one that occurs in
one of them alone has F1 0. MCC (Gorodkin's R_K for more than two classes) is 0 where all answers,
or all of gold, are of one class.

Legend: N example, C class, K statistic, M made-up example.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio

Labels = Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True)
class Accuracy(Metric):
    """Share of right answers; statistics: right, 1."""

    name = "accuracy"

    def statistics(self, predicted: Labels, gold: Labels) -> Statistics:
        """[N, 2]."""
        right = np.asarray(predicted) == np.asarray(gold)
        return np.stack([right, np.ones_like(right)], axis=-1).astype(np.uint8)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Share of right answers; 0 without examples."""
        return ratio(totals[..., 0], totals[..., 1])

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """An answer to another text counts as wrong."""
        return np.stack([np.zeros_like(golds[:, 0]), golds[:, 1]], axis=-1)


@dataclass(frozen=True)
class F1(Metric):
    """F1 of one class; statistics: right, answered, in gold (each 0 or 1).

    Attributes:
        label: Index of the class.
        name: "f1:" and the name of the class.
    """

    label: int
    name: str = "f1"

    def statistics(self, predicted: Labels, gold: Labels) -> Statistics:
        """[N, 3]."""
        answered, there = np.asarray(predicted) == self.label, np.asarray(gold) == self.label
        return np.stack([answered & there, answered, there], axis=-1).astype(np.uint8)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """F1; 0 where the class is neither answered nor in gold."""
        return ratio(2 * np.asarray(totals[..., 0], float), _sum(totals[..., 1], totals[..., 2]))

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """Right where both are of the class."""
        answered, there = answers[:, 1], golds[:, 2]
        return np.stack([answered * there, answered, there], axis=-1)


@dataclass(frozen=True)
class MacroF1(Metric):
    """Mean F1 of the classes, each counting alike; statistics: right, answered, in gold by class.

    Attributes:
        classes: Number of classes.
    """

    classes: int
    name = "macro-f1"

    def statistics(self, predicted: Labels, gold: Labels) -> Statistics:
        """[N, 3 C]."""
        return _by_class(one_hot(predicted, self.classes), one_hot(gold, self.classes))

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Mean over the classes that are answered or in gold."""
        right, answered, there = np.split(np.asarray(totals, float), 3, axis=-1)
        occurs = answered + there > 0
        each = ratio(2 * right, answered + there)
        return ratio(each.sum(-1), occurs.sum(-1))

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """Right where both are of one class."""
        return _by_class(np.split(answers, 3, axis=-1)[1], np.split(golds, 3, axis=-1)[2])


@dataclass(frozen=True)
class Matthews(Metric):
    """Matthews' correlation of answers and gold; statistics: right, answered and in gold by class.

    Attributes:
        classes: Number of classes.
    """

    classes: int
    name = "mcc"

    def statistics(self, predicted: Labels, gold: Labels) -> Statistics:
        """[N, 1 + 2 C]."""
        return _at_all(one_hot(predicted, self.classes), one_hot(gold, self.classes))

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Matthews' correlation coefficient."""
        totals = np.asarray(totals, float)
        right, answered, there = totals[..., 0], *np.split(totals[..., 1:], 2, axis=-1)
        count = answered.sum(-1)
        above = right * count - (answered * there).sum(-1)
        spreads = [count**2 - (each**2).sum(-1) for each in (answered, there)]
        varies = (spreads[0] > _TINY * count**2) & (spreads[1] > _TINY * count**2)
        below = np.sqrt(np.maximum(spreads[0], 0)) * np.sqrt(np.maximum(spreads[1], 0))
        return ratio(above, np.where(varies, below, 0))

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """Right where both are of one class."""
        answered = np.split(answers[:, 1:], 2, axis=-1)[0]
        return _at_all(answered, np.split(golds[:, 1:], 2, axis=-1)[1])


_TINY = 1e-12  # a spread below this share is rounding


def one_hot(labels: Labels, classes: int) -> NDArray[np.uint8]:
    """Rows with a 1 at each label, [N, C]."""
    return (np.asarray(labels)[:, None] == np.arange(classes)).astype(np.uint8)


def _by_class(answered_NC: Statistics, there_NC: Statistics) -> Statistics:
    """Right, answered and in gold, each by class, [N, 3 C]."""
    return np.concatenate([answered_NC * there_NC, answered_NC, there_NC], axis=-1)


def _at_all(answered_NC: Statistics, there_NC: Statistics) -> Statistics:
    """Right at all, then answered and in gold by class, [N, 1 + 2 C]."""
    right = (answered_NC * there_NC).any(-1, keepdims=True)
    return np.concatenate([right.astype(np.uint8), answered_NC, there_NC], axis=-1)


def _sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(first, float) + np.asarray(second, float)
