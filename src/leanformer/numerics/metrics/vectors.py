"""A student's vectors against its teacher's: cosine, ratio of lengths, shared nearest neighbours.

Legend: N example, D width, K statistic, M made-up example.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio


@dataclass(frozen=True)
class Cosine(Metric):
    """Mean cosine of vector pairs; statistics: cosine, 1."""

    name = "cosine"

    def statistics(self, predicted: NDArray[np.float32], gold: NDArray[np.float32]) -> Statistics:
        """[N, 2]; a vector of zeros has cosine 0 to all."""
        norms = np.linalg.norm(predicted, axis=1) * np.linalg.norm(gold, axis=1)
        each = (predicted * gold).sum(1) / np.maximum(norms, 1e-12)
        return np.stack([each, np.ones_like(each)], axis=-1).astype(np.float64)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Mean cosine; 0 without examples."""
        return ratio(totals[..., 0], totals[..., 1])

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """The vector of an unrelated text: orthogonal."""
        return np.stack([np.zeros_like(golds[:, 0]), golds[:, 1]], axis=-1)


def length_ratio(ours_ND: NDArray[np.float32], theirs_ND: NDArray[np.float32]) -> float:
    """Mean ratio of the lengths of the rows of two matrices; 1 where they are as long."""
    ours_N, theirs_N = np.linalg.norm(ours_ND, axis=1), np.linalg.norm(theirs_ND, axis=1)
    return float(np.mean(ours_N / np.maximum(theirs_N, 1e-12)))


def neighbour_overlap(
    ours_ND: NDArray[np.float32], theirs_ND: NDArray[np.float32], k: int = 10
) -> float:
    """Mean share of the k nearest neighbours (by inner product, itself excluded) that agree."""
    k = min(k, len(ours_ND) - 1)
    if k < 1:
        return 1.0
    tops = []
    for vectors in (ours_ND, theirs_ND):
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -np.inf)
        tops.append(np.argpartition(-similarity, k - 1, axis=1)[:, :k])
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(*tops, strict=True)]))
