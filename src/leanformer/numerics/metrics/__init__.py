"""Metrics of quality: how well predictions agree with gold. Higher is better, 1 is perfect.

accuracy   share of equal labels
f1:LABEL   F1 of one class
macro-f1   mean F1 of the classes that occur
mcc        Matthews' correlation coefficient
spearman   correlation of ranks, ties at their mean rank
pearson    linear correlation
span_f1    2 TP / (2 TP + FP + FN) over whole entity spans, as `text.tags` reads them
cosine     mean cosine of vector pairs
micro-f1   F1 of sets of labels, pooled over labels; macro-f1 and f1:LABEL are there too
ndcg@k     normalized discounted cumulative gain of rankings
mrr@k      mean reciprocal rank of the first relevant text
recall@k   share of the relevant texts among the first k
token_probability   1 / perplexity of texts

Each is a `Metric`: statistics per example, and a function of their sums.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.correlations import Pearson, Spearman
from leanformer.numerics.metrics.label_sets import F1OfSets, MacroF1OfSets, MicroF1
from leanformer.numerics.metrics.labels import F1, Accuracy, MacroF1, Matthews
from leanformer.numerics.metrics.likelihood import TokenProbability
from leanformer.numerics.metrics.metric import Metric, Statistics
from leanformer.numerics.metrics.ranking import Ndcg, Recall, ReciprocalRank
from leanformer.numerics.metrics.spans import SpanF1
from leanformer.numerics.metrics.vectors import Cosine, length_ratio, neighbour_overlap
from leanformer.text.tags import entities as spans

__all__ = [
    "F1",
    "Accuracy",
    "Cosine",
    "F1OfSets",
    "MacroF1",
    "MacroF1OfSets",
    "Matthews",
    "Metric",
    "MicroF1",
    "Ndcg",
    "Pearson",
    "Recall",
    "ReciprocalRank",
    "SpanF1",
    "Spearman",
    "Statistics",
    "TokenProbability",
    "accuracy",
    "cosine",
    "length_ratio",
    "neighbour_overlap",
    "span_f1",
    "spans",
    "spearman",
]


def accuracy(predicted: Sequence[int], gold: Sequence[int]) -> float:
    """Share of positions where both agree."""
    return Accuracy().score(predicted, gold)


def spearman(predicted: Sequence[float], gold: Sequence[float]) -> float:
    """Pearson's correlation of the ranks; 0 where one side is constant."""
    return Spearman().score(predicted, gold)


def span_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """F1 over entity spans, pooled over all sentences; 1 where there are no spans at all."""
    return SpanF1().score(predicted, gold)


def cosine(ours_ND: NDArray[np.float32], theirs_ND: NDArray[np.float32]) -> float:
    """Mean cosine between the rows of two matrices."""
    return Cosine().score(ours_ND, theirs_ND)
