"""Confidence bounds of the share of a teacher's quality that a student keeps.

    kept  = q(sum_i s_i) / q(sum_i t_i)          s_i, t_i: statistics of example i of both systems
    kept* = q(sum_i E_i s_i + E_0 s_0) / q(sum_i E_i t_i + E_0 t_0)        E ~ exponential(1)

Each kept* is one guess at the truth (Rubin's Bayesian bootstrap: divided by their sum, the E are
Dirichlet weights). Both systems have the same weights, so that only the examples on which they
differ count. A bootstrap alone is too sure where these are few: a student that answers 50 texts as
its teacher does has kept* = 1 in every resample, which proves nothing about 99 %. So one example
that nobody has seen is added, on which the student fails: the gold of one example i, which the
teacher answers as it did, while the student answers as it did to another one, j. The pairs (i, j)
are drawn from the examples, anew for each resample, among those that lower `kept`.

For accuracy this is Gaffke's (2005) bound for the mean of bounded numbers, and where the student
only errs more often, b times in n, the exact one of Clopper and Pearson: the share of errors is at
most a quantile of Beta(b + 1, n - b), which is 2.3 / n at 90 % for b = 0. The whole-numbered
weights of the usual bootstrap would give the same in coarser steps.

Where all is to be kept (a share of 1), it is the exact sign test.

Legend: N example, G group of equal examples, K statistic of one system, P of both, M pair (i, j),
R resample.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics import Metric, Statistics

Floats = NDArray[np.float64]

_PAIRS, _FEWEST = 4096, 256  # pairs (i, j) that are looked at
_NUMBERS = 2_000_000  # numbers in memory at once: 16 MB
_STEP = 1e-3  # of a weight, for derivatives
_ROUNDING = 1e-12


@dataclass(frozen=True)
class PairedBootstrap:
    """The result of `paired_bootstrap`.

    Attributes:
        metric: Name of the metric.
        teacher: Quality of the teacher.
        student: Quality of the student.
        resampled_R: kept* of each resample; -inf where the teacher's quality is not above 0.
        influence_N: By how much each example moves `kept`, per unit of weight; sorted by the
            examples' statistics, not in their order. The sum is 0.
        added_M: By how much each pair's example moves `kept`.
        chances_M: Probability of each pair.
    """

    metric: str
    teacher: float
    student: float
    resampled_R: Floats
    influence_N: Floats
    added_M: Floats
    chances_M: Floats

    @property
    def kept(self) -> float:
        """Share of the teacher's quality that the student has."""
        return self.student / self.teacher

    def lower(self, confidence: float) -> float:
        """One-sided lower bound of the share, never above `kept`; -inf where the resamples are too
        few for such a confidence."""
        rank = int((1 - confidence) * (len(self.resampled_R) + 1))
        if rank == 0:
            return -math.inf
        return float(min(np.sort(self.resampled_R)[rank - 1], self.kept))


def paired_bootstrap(
    metric: Metric,
    teacher_NK: Statistics,
    student_NK: Statistics,
    *,
    resamples: int = 4000,
    seed: int = 0,
) -> PairedBootstrap:
    """Resample two systems' statistics of the same examples.

    The order of the examples does not matter; one seed gives the same numbers each time.

    Raises:
        ValueError: There are no examples, both differ in number, or the teacher's quality is not
            above 0.
    """
    if len(teacher_NK) != len(student_NK) or len(teacher_NK) == 0:
        raise ValueError(
            f"paired bootstrap: {len(teacher_NK)} examples of the teacher and {len(student_NK)} of "
            "the student; judge both on the same examples, one or more"
        )
    both_NP = np.concatenate([teacher_NK, student_NK], axis=1)
    both_GP, counts_G = _groups(both_NP)
    totals_P = counts_G @ both_GP
    teacher, student = (float(metric.value(half)) for half in np.split(totals_P, 2))
    if not teacher > 0:
        raise ValueError(
            f"the teacher's {metric.name} is {teacher:.3f} on these examples; a share of it can be "
            "kept only where it is above 0"
        )

    def kept(totals: Floats) -> Floats:
        theirs, ours = (metric.value(half) for half in np.split(totals, 2, axis=-1))
        return np.where(theirs > 0, ours / np.where(theirs > 0, theirs, 1), -np.inf)

    rng = np.random.default_rng(seed)
    own = kept(totals_P)
    added_MP, chances_M = _failures(metric, both_GP, counts_G, rng)
    moved_M = kept(totals_P + added_MP) - own
    harmful = moved_M < -_ROUNDING
    added_MP, moved_M, chances_M = added_MP[harmful], moved_M[harmful], chances_M[harmful]
    chances_M = chances_M / max(1e-300, chances_M.sum())
    parts = [
        kept(weights_rG @ both_GP + more_rP)
        for weights_rG, more_rP in _weights(counts_G, added_MP, chances_M, resamples, rng)
    ]
    influence_G = (kept(totals_P + _STEP * both_GP) - own) / _STEP
    return PairedBootstrap(
        metric=metric.name,
        teacher=teacher,
        student=student,
        resampled_R=np.concatenate(parts),
        influence_N=np.repeat(influence_G, counts_G),
        added_M=moved_M,
        chances_M=chances_M,
    )


def _groups(both_NP: Statistics) -> tuple[Floats, NDArray[np.int64]]:
    """The distinct rows, in the order of their bytes, and how often each occurs.

    With hundreds of columns, comparing bytes is many times as fast as comparing columns.
    """
    whole = np.ascontiguousarray(both_NP)
    rows = whole.view(np.dtype((np.void, whole.dtype.itemsize * whole.shape[1]))).ravel()
    _, firsts, counts_G = np.unique(rows, return_index=True, return_counts=True)
    return whole[firsts].astype(np.float64), counts_G


def _failures(
    metric: Metric, both_GP: Floats, counts_G: NDArray[np.int64], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Unseen examples on which the student may fail, [M, P], and the probability of each.

    They are all pairs of groups where these are few, otherwise a random sample of pairs.
    """
    groups, width = len(counts_G), both_GP.shape[1] // 2
    pairs = max(_FEWEST, min(_PAIRS, _NUMBERS // (2 * width)))
    chances_G = counts_G / counts_G.sum()
    if groups**2 <= pairs:
        golds, answers = (index.ravel() for index in np.indices((groups, groups)))
        chances_M = chances_G[golds] * chances_G[answers]
    else:
        golds, answers = rng.choice(groups, size=(2, pairs), p=chances_G)
        chances_M = np.full(pairs, 1 / pairs)
    students = metric.exchanged(both_GP[golds, width:], both_GP[answers, width:])
    return np.concatenate([both_GP[golds, :width], students], axis=1), chances_M


def _weights(
    counts_G: NDArray[np.int64],
    added_MP: Floats,
    chances_M: Floats,
    resamples: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Floats, Floats]]:
    """Weights of the groups, [r, G], and the weighted added example, [r, P]; r resamples at a time.

    Every example has its own exponential, in the order of the groups. An example that moves to the
    next group, because the student now answers it correctly, keeps its weight.
    """
    starts, size = np.cumsum(counts_G) - counts_G, int(counts_G.sum())
    rows = max(1, _NUMBERS // max(size, added_MP.shape[1]))
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        weights_rG = np.add.reduceat(rng.standard_exponential((count, size)), starts, axis=1)
        more_rP = np.zeros((count, added_MP.shape[1]))
        if len(added_MP):  # none where nothing can lower the quality: it is 0 already
            chosen = rng.choice(len(added_MP), size=count, p=chances_M)
            more_rP = rng.standard_exponential((count, 1)) * added_MP[chosen]
        yield weights_rG, more_rP
