"""Metrics of rankings: each query's texts in the order of their scores, against their grades.

    DCG@k    sum over ranks r = 1 … k of  grade / log2(1 + r)
    nDCG@k   DCG@k / DCG@k of the best order
    MRR@k    1 / rank of the first text with a grade above 0; 0 where it is beyond k
    recall@k relevant texts (with a grade above 0) among the first k / all relevant texts

The gain is the grade itself, as in trec_eval and scikit-learn, so that nDCG does not depend on the
scale of grades. Texts with equal scores have no order: their value is the mean over all orders. A
query without any relevant text has no best order; it is left out.

What is resampled is the query: the texts of one query are not independent of each other, so that a
statistic of one text would promise too much.

Legend: N text, Q query, K statistic, M made-up query.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from leanformer.numerics.metrics.metric import Metric, Statistics, ratio

Ranked = Sequence[tuple[str, float]]
"""The query of each text, and its score or grade."""


@dataclass(frozen=True)
class RankingMetric(Metric):
    """A mean over queries; statistics of each query: its value, and 1 where it has a relevant text.

    Attributes:
        k: Ranks that count.
    """

    unit: ClassVar[str] = "query"
    k: int = 10

    @abstractmethod
    def of_query(self, scores: NDArray[np.float64], grades: NDArray[np.float64]) -> float:
        """The value of one query's texts, at least one of which has a grade above 0."""

    def statistics(self, predicted: Ranked, gold: Ranked) -> Statistics:
        """[Q, 2], in the order in which queries occur first.

        Args:
            predicted: Query and score of each text.
            gold: Query and grade of each text.
        """
        texts: dict[str, list[int]] = {}
        for index, (query, _) in enumerate(gold):
            texts.setdefault(query, []).append(index)
        rows = []
        for members in texts.values():
            scores, grades = (
                np.array([side[index][1] for index in members], np.float64)
                for side in (predicted, gold)
            )
            judged = bool((grades > 0).any())
            rows.append((self.of_query(scores, grades) if judged else 0.0, float(judged)))
        return np.array(rows, dtype=np.float64).reshape(-1, 2)

    def value(self, totals: Statistics) -> NDArray[np.float64]:
        """Mean over the queries with a relevant text; 0 where there is none."""
        return ratio(totals[..., 0], totals[..., 1])

    def exchanged(self, golds: Statistics, answers: Statistics) -> Statistics:
        """The order of another query's texts finds nothing."""
        return np.stack([np.zeros_like(golds[:, 0]), golds[:, 1]], axis=-1)


@dataclass(frozen=True)
class Ndcg(RankingMetric):
    """Normalized discounted cumulative gain of the first k ranks, averaged over queries."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """ndcg@k."""
        return f"ndcg@{self.k}"

    def of_query(self, scores: NDArray[np.float64], grades: NDArray[np.float64]) -> float:
        """DCG over the best DCG."""
        discounts = 1 / np.log2(2 + np.arange(len(grades)))
        discounts[self.k :] = 0
        best = np.sort(grades)[::-1] @ discounts
        gained = [discounts[at].sum() * grades[group].mean() for at, group in _ranks(scores)]
        return float(sum(gained) / best)


@dataclass(frozen=True)
class ReciprocalRank(RankingMetric):
    """Mean reciprocal rank of the first relevant text among the first k."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """mrr@k."""
        return f"mrr@{self.k}"

    def of_query(self, scores: NDArray[np.float64], grades: NDArray[np.float64]) -> float:
        """1 / rank; of texts with equal scores the mean over their orders."""
        for at, group in _ranks(scores):
            relevant, count = int((grades[group] > 0).sum()), len(group)
            if relevant:
                return sum(
                    math.comb(count - place - 1, relevant - 1) / math.comb(count, relevant)
                    / (at.start + place + 1)
                    for place in range(min(count - relevant + 1, self.k - at.start))
                )  # fmt: skip
        raise AssertionError("a query without any relevant text is not judged")


@dataclass(frozen=True)
class Recall(RankingMetric):
    """Share of the relevant texts that stand among the first k, averaged over queries."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """recall@k."""
        return f"recall@{self.k}"

    def of_query(self, scores: NDArray[np.float64], grades: NDArray[np.float64]) -> float:
        """Of texts with equal scores that the k-th rank divides, the expected share counts."""
        relevant = grades > 0
        found = [
            min(max(0, self.k - at.start), len(group)) * relevant[group].mean()
            for at, group in _ranks(scores)
        ]
        return float(sum(found) / relevant.sum())


def _ranks(scores: NDArray[np.float64]) -> list[tuple[slice, NDArray[np.intp]]]:
    """Texts with equal scores, the highest first: their ranks from 0 on, and which they are."""
    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    groups = np.split(order, starts[1:])
    return [
        (slice(int(start), int(start) + len(group)), group)
        for start, group in zip(starts, groups, strict=True)
    ]
