"""Exact inner products and their largest: what every index ends with, and is measured against.

    score(q, x) = q · x        largest first, equal scores by row number

Rows are scored in blocks, so that memory does not grow with their number. An index proposes rows;
`rescore` computes their inner products from the vectors themselves. So the scores of every index
are those of the exact search, and results of several parts can be merged by score.

Legend: Q query, N row, B row of a block, C candidate, K result, D width.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Source = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Row numbers [n] -> their vectors [n, D]."""
Scored = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores [Q, K], best first, and rows [Q, K]; -inf and -1 where there are fewer results."""

_BLOCK_BYTES = 2**24  # of scores: more leaves the cache of the last level
_GATHERED = 2**26  # bytes of vectors that are gathered at once


def nothing(queries: int, k: int) -> Scored:
    """No results: all -inf and -1."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), -1, np.int64)


def largest(scores_QC: NDArray[np.float32], rows_QC: NDArray[np.int64], k: int) -> Scored:
    """The `k` largest scores of each query, best first; equal scores by row number.

    Candidates whose row is -1 come last and are given as -inf and -1.
    """
    scores_QC = np.where(rows_QC < 0, np.float32(-np.inf), scores_QC)
    if scores_QC.shape[1] > k:
        kept = np.argpartition(scores_QC, -k, axis=1)[:, -k:]
        scores_QC = np.take_along_axis(scores_QC, kept, 1)
        rows_QC = np.take_along_axis(rows_QC, kept, 1)
    order = np.lexsort((rows_QC, -scores_QC), axis=1)
    scores_QK, rows_QK = nothing(len(scores_QC), k)
    found = order.shape[1]
    scores_QK[:, :found] = np.take_along_axis(scores_QC, order, 1)
    rows_QK[:, :found] = np.take_along_axis(rows_QC, order, 1)
    return scores_QK, rows_QK


def merge(parts: Iterable[Scored], k: int) -> Scored:
    """The `k` best of results of several parts, whose rows differ."""
    scores, rows = zip(*parts, strict=True)
    return largest(np.concatenate(scores, axis=1), np.concatenate(rows, axis=1), k)


def score_blocks(
    queries_QD: NDArray[np.float32],
    blocks: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    k: int,
    allowed_N: NDArray[np.bool_] | None = None,
) -> Scored:
    """The `k` rows with the largest inner products among blocks of (row numbers, vectors).

    Args:
        queries_QD: The queries.
        blocks: Row numbers [B] with their vectors [B, D].
        k: Results per query.
        allowed_N: Which rows may be returned, by row number; None = all.
    """
    best = nothing(len(queries_QD), k)
    for rows_B, vectors_BD in blocks:
        for start, stop in _parts(len(rows_B), _BLOCK_BYTES // (4 * max(len(queries_QD), 1))):
            part_B = rows_B[start:stop]
            scores_QB = queries_QD @ vectors_BD[start:stop].T
            if allowed_N is not None:
                part_B = np.where(allowed_N[part_B], part_B, -1)
                scores_QB[:, part_B < 0] = -np.inf
            columns = scores_QB.shape[1]
            if columns > k:
                kept_QK = np.argpartition(scores_QB, -k, axis=1)[:, -k:]
            else:
                kept_QK = np.broadcast_to(np.arange(columns), (len(queries_QD), columns))
            found = np.take_along_axis(scores_QB, kept_QK, 1), part_B[kept_QK]
            best = merge([best, found], k)
    return best


def rescore(
    queries_QD: NDArray[np.float32],
    candidates_QC: NDArray[np.int64],
    source: Source,
    k: int,
) -> Scored:
    """The `k` best candidates of each query by their exact inner products; -1 is no candidate."""
    scores_QC = np.full(candidates_QC.shape, -np.inf, np.float32)
    width = queries_QD.shape[1]
    for start, stop in _parts(len(queries_QD), _GATHERED // (4 * width * candidates_QC.shape[1])):
        part = candidates_QC[start:stop]
        vectors = source(np.maximum(part, 0).reshape(-1))
        vectors_QCD = vectors.reshape(*part.shape, width)
        scores_QC[start:stop] = np.matmul(vectors_QCD, queries_QD[start:stop, :, None])[..., 0]
    return largest(scores_QC, candidates_QC, k)


def among(
    queries_QD: NDArray[np.float32], rows: NDArray[np.int64], source: Source, k: int
) -> Scored:
    """The `k` best of these rows, all of them scored."""
    size = max(1, _GATHERED // (4 * queries_QD.shape[1]))
    blocks = ((rows[i : i + size], source(rows[i : i + size])) for i in range(0, len(rows), size))
    return score_blocks(queries_QD, blocks, k)


def _parts(count: int, size: int) -> Iterable[tuple[int, int]]:
    size = max(size, 1)
    return ((start, min(start + size, count)) for start in range(0, count, size))
