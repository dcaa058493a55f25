"""F1 of whole entity spans, pooled over all sentences; `text.tags` reads them from tags.

span F1 = 2 TP / (2 TP + FP + FN)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio
from leanformer.text.tags import entities


@dataclass(frozen=True)
class SpanF1(Metric):
    """F1 of whole entity spans; statistics of a sentence: spans that are right, found, in gold."""

    name = "span_f1"

    def statistics(
        self, predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]
    ) -> Statistics:
        """[N, 3]."""
        rows = []
        for ours, theirs in zip(predicted, gold, strict=True):
            mine, true = set(entities(ours)), set(entities(theirs))
            rows.append((len(mine & true), len(mine), len(true)))
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """F1; 1 where there are no spans at all."""
        right, found, true = (np.asarray(totals[..., k], float) for k in range(3))
        return ratio(2 * right, found + true, otherwise=1.0)

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """The spans of another sentence are all wrong."""
        return np.stack([np.zeros_like(golds[:, 0]), answers[:, 1], golds[:, 2]], axis=-1)
