"""Recall@k: the share of the k best rows that an index returns, counted by score.

    recall = 1/(Q k') Σ_q #{results of q with score ≥ s_q}        k' = min(k, N)

s_q is the k'-th best exact score. Counting scores rather than rows makes duplicates harmless: of
ten equal texts any five are the right five.

Legend: N row, D width, Q query, K result.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leanformer.core.ranges import Count, check_number
from leanformer.retrieve.indexes.exact import exact_search
from leanformer.retrieve.indexes.exact_scores import Scored
from leanformer.retrieve.indexes.interface import BuiltIndex, checked_queries, checked_vectors

_ROUNDING = 1e-5  # of the best score: products of the same vectors differ by their order of sums


@dataclass(frozen=True, eq=False)
class Truth:
    """Queries, and the score that a result must reach to be among the k best.

    Attributes:
        queries_QD: The queries.
        k: Results per query.
        reached_Q: The lowest score that counts as right.
        expected: Right results that there are for each query: k, or all rows where k is more.
        own_Q: The row that a query is itself, which is no result; None = queries are not rows.
    """

    queries_QD: NDArray[np.float32]
    k: int
    reached_Q: NDArray[np.float32]
    expected: int
    own_Q: NDArray[np.int64] | None

    def recall(self, index: BuiltIndex) -> float:
        """Recall@k of an index of the same rows, from 0 to 1."""
        scores_QK, rows_QK = index.search(self.queries_QD, _asked(self.k, self.own_Q))
        scores_QK, rows_QK = _others((scores_QK, rows_QK), self.own_Q, self.k)
        right = (rows_QK >= 0) & (scores_QK >= self.reached_Q[:, None])
        return float(right.sum() / (len(right) * self.expected))


def true_answers(
    vectors_ND: NDArray[np.floating],
    queries_QD: NDArray[np.floating],
    k: int = 10,
    *,
    own_Q: NDArray[np.int64] | None = None,
) -> Truth:
    """Search exactly, for recall to be measured against.

    Args:
        vectors_ND: The rows.
        queries_QD: At least one query.
        k: Results per query.
        own_Q: The row that each query is, where queries are rows themselves: it is not counted.

    Raises:
        ValueError: There is no query, no row that could be a result, or a number is not finite.
    """
    vectors_ND = checked_vectors(vectors_ND)
    queries_QD = checked_queries(queries_QD, vectors_ND.shape[1])
    check_number(Count, k, "k")
    expected = min(k, len(vectors_ND) - (own_Q is not None))
    if expected < 1 or not len(queries_QD):
        raise ValueError(
            f"recall of {len(queries_QD)} queries among {len(vectors_ND)} rows: at least one "
            "query and one row that may be its result"
        )
    found = exact_search(vectors_ND, queries_QD, _asked(k, own_Q))
    scores_QK, _ = _others(found, own_Q, k)
    best_Q = np.abs(scores_QK[:, :expected]).max(1)
    reached_Q = scores_QK[:, expected - 1] - _ROUNDING * best_Q
    return Truth(queries_QD, k, reached_Q.astype(np.float32), expected, own_Q)


def measure_recall(
    index: BuiltIndex,
    vectors_ND: NDArray[np.floating],
    queries_QD: NDArray[np.floating],
    k: int = 10,
) -> float:
    """Recall@k of `index`, from 0 to 1, against an exact search of the vectors it was built of.

    Queries should be like those that will be asked, and not among the rows.

    Raises:
        ValueError: As `true_answers`, or the index is of another number of rows.
    """
    if len(vectors_ND) != index.rows:
        raise ValueError(
            f"vectors: {len(vectors_ND)} rows, and the index has {index.rows}; give the vectors "
            "that it was built of"
        )
    return true_answers(vectors_ND, queries_QD, k).recall(index)


def _asked(k: int, own_Q: NDArray[np.int64] | None) -> int:
    return k + (own_Q is not None)


def _others(found: Scored, own_Q: NDArray[np.int64] | None, k: int) -> Scored:
    """The `k` best results that are not the query itself."""
    scores_QK, rows_QK = found
    if own_Q is None:
        return found
    own_QK = rows_QK == own_Q[:, None]
    order_QK = np.argsort(own_QK, axis=1, kind="stable")[:, :k]
    kept = np.where(own_QK, -np.inf, scores_QK), np.where(own_QK, -1, rows_QK)
    return (
        np.take_along_axis(kept[0], order_QK, 1).astype(np.float32),
        np.take_along_axis(kept[1], order_QK, 1),
    )
