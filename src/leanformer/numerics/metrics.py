"""Qualities: how well predictions agree with what is right. Higher is better, 1 is perfect.

accuracy   share of equal labels
spearman   correlation of ranks, ties at their mean rank
span_f1    2 TP / (2 TP + FP + FN) over whole entity spans (BIO and BIOES tags, or plain labels)
cosine     mean cosine of vector pairs
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leanformer.text.tags import entities as spans


def accuracy(predicted: Sequence[int], gold: Sequence[int]) -> float:
    """Share of positions where both agree."""
    return float(np.mean(np.asarray(predicted) == np.asarray(gold)))


def spearman(predicted: Sequence[float], gold: Sequence[float]) -> float:
    """Pearson's correlation of the ranks; 0 where one side is constant."""
    ranks = [_ranks(np.asarray(values, dtype=np.float64)) for values in (predicted, gold)]
    if any(rank.std() == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def span_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> float:
    """F1 over entity spans, pooled over all sentences; 1 where there are no spans at all."""
    right = wrong = missed = 0
    for ours, theirs in zip(predicted, gold, strict=True):
        mine, true = set(spans(ours)), set(spans(theirs))
        right += len(mine & true)
        wrong += len(mine - true)
        missed += len(true - mine)
    return 1.0 if right + wrong + missed == 0 else 2 * right / (2 * right + wrong + missed)


def cosine(ours_ND: NDArray[np.float32], theirs_ND: NDArray[np.float32]) -> float:
    """Mean cosine between the rows of two matrices."""
    norms = np.linalg.norm(ours_ND, axis=1) * np.linalg.norm(theirs_ND, axis=1)
    return float(np.mean((ours_ND * theirs_ND).sum(1) / np.maximum(norms, 1e-12)))


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


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(values, kind="stable")
    _, inverse, counts = np.unique(values[order], return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means = (last - counts + last - 1) / 2
    ranks = np.empty(len(values))
    ranks[order] = means[inverse]
    return ranks
