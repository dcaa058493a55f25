"""Metrics of a set of labels per example, from counts by label.

    micro F1   2 sum_l tp_l / sum_l (p_l + g_l)
    macro F1   mean of F1_l over the labels with p_l + g_l > 0
    F1_l       2 tp_l / (p_l + g_l)

Of label l: tp_l examples are right, p_l answered, g_l in gold. An example without any label is
right where none is answered, and adds nothing. As in `labels`, a label that occurs neither in gold
nor among the answers is not averaged over.

Legend: N example, L label, K statistic, M made-up example.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio

Sets = NDArray[np.bool_]
"""[N, L]: True where a label belongs to an example."""


@dataclass(frozen=True)
class MicroF1(Metric):
    """F1 of all labels together; statistics: labels that are right, answered, in gold."""

    name = "micro-f1"

    def statistics(self, predicted: Sets, gold: Sets) -> Statistics:
        """[N, 3]."""
        answered, there = _sets(predicted), _sets(gold)
        counts = [(answered & there).sum(1), answered.sum(1), there.sum(1)]
        return np.stack(counts, axis=-1).astype(np.int64)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """F1; 0 where no label is answered or in gold."""
        right, answered, there = (np.asarray(totals[..., k], float) for k in range(3))
        return ratio(2 * right, answered + there)

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """The labels of another example are all wrong."""
        return np.stack([np.zeros_like(golds[:, 0]), answers[:, 1], golds[:, 2]], axis=-1)


@dataclass(frozen=True)
class MacroF1OfSets(Metric):
    """Mean F1 of the labels, each counting alike; statistics: right, answered, in gold by label."""

    name = "macro-f1"

    def statistics(self, predicted: Sets, gold: Sets) -> Statistics:
        """[N, 3 L]."""
        return _by_label(_sets(predicted), _sets(gold))

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Mean over the labels that are answered or in gold; 0 where none is."""
        right, answered, there = np.split(np.asarray(totals, float), 3, axis=-1)
        occurs = answered + there > 0
        return ratio(ratio(2 * right, answered + there).sum(-1), occurs.sum(-1))

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """Right where both have the label."""
        return _by_label(np.split(answers, 3, axis=-1)[1], np.split(golds, 3, axis=-1)[2])


@dataclass(frozen=True)
class F1OfSets(Metric):
    """F1 of one label; statistics: right, answered, in gold (each 0 or 1).

    Attributes:
        label: Its index.
        name: "f1:" and its name.
    """

    label: int
    name: str = "f1"

    def statistics(self, predicted: Sets, gold: Sets) -> Statistics:
        """[N, 3]."""
        one = slice(self.label, self.label + 1)
        return _by_label(_sets(predicted)[:, one], _sets(gold)[:, one])

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """F1; 0 where the label is neither answered nor in gold."""
        right, answered, there = (np.asarray(totals[..., k], float) for k in range(3))
        return ratio(2 * right, answered + there)

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """Right where both have the label."""
        return _by_label(answers[:, 1:2], golds[:, 2:3])


def _sets(labels: Sets) -> Sets:
    return np.asarray(labels).astype(bool)


def _by_label(answered_NL: Statistics, there_NL: Statistics) -> Statistics:
    """Right, answered and in gold, each by label, [N, 3 L]."""
    parts = [answered_NL * there_NL, answered_NL, there_NL]
    return np.concatenate(parts, axis=-1).astype(np.uint8)
