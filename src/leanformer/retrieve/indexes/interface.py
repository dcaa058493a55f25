"""The interface of indexes: what finds the rows with the largest inner products, and how exactly.

An index proposes candidates; their scores are always the exact inner products, computed from the
vectors themselves (`exact_scores`). What an index may get wrong is which rows it proposes: recall@k
is the share of the true k best that it returns.

`effort` is what an index spends on a query: lists that are probed, nodes of a graph that are
visited, candidates that are re-scored. More effort, more recall, more time.

Legend: N row, D width, Q query, K result, C candidate.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from leanformer.core.machine.threads import check_threads
from leanformer.core.ranges import Count, check_number
from leanformer.retrieve.indexes.exact_scores import Scored, Source, merge, nothing
from leanformer.retrieve.indexes.selection import Selection, selection
from leanformer.retrieve.indexes.vector_rows import VectorRows

Growth = Literal["linear", "root", "logarithmic"]
"""How the time of a query grows with the number of rows."""


class Index(ABC):
    """Describes an index. It is built of vectors, and finds those closest to a query."""

    family: ClassVar[str] = "index"
    growth: ClassVar[Growth]

    @abstractmethod
    def build(
        self, vectors_ND: NDArray[np.floating], *, threads: int | None = None
    ) -> "BuiltIndex":
        """Build the index of `vectors_ND`; row i of the results is vectors_ND[i].

        Args:
            vectors_ND: Finite numbers, [N, D]. They are not copied if they are float32: the index
                takes the candidates' vectors from them, so they must not change.
            threads: Threads that build and search; None = all cores.

        Raises:
            ValueError: The vectors are not a matrix of finite numbers, or too few for this index.
            ImportError: `faiss` is missing, for indexes that need it.
        """

    def build_of(self, vectors: VectorRows, *, threads: int | None = None) -> "BuiltIndex":
        """Build the index of rows that need not be in memory; it takes its candidates' vectors
        from them.

        Indexes that train on a sample hold that and one block at a time; others read all rows.

        Raises:
            ValueError: As `build`.
            ImportError: As `build`.
        """
        return self.build(vectors.take(np.arange(vectors.shape[0])), threads=threads)

    @abstractmethod
    def restore(
        self, folder: Path, rows: int, width: int, source: Source | None, threads: int | None
    ) -> "BuiltIndex":
        """The built index of this description in a folder whose checksums are right.

        Args:
            folder: What `BuiltIndex.save` wrote.
            rows: How many rows it is of.
            width: The width of their vectors.
            source: Row numbers -> exact vectors; None where the index holds them itself.
            threads: Threads that search; None = all cores.

        Raises:
            ValueError: The files are not those of such an index, or `source` is missing.
        """


class BuiltIndex(ABC):
    """An index of vectors. Any number of threads may search it at once."""

    description: Index
    rows: int
    """N: rows 0 to N - 1 can be returned."""
    width: int
    """D: numbers per vector."""
    threads: int | None
    """Threads that search; None = all cores."""
    effort: int
    """What a query costs: lists, nodes or candidates, as the description says."""
    efforts: tuple[int, int]
    """The least and the most effort that make a difference."""

    @abstractmethod
    def find(self, queries_QD: NDArray[np.float32], k: int, allowed: Selection | None) -> Scored:
        """The `k` best (allowed) rows of each query that this index finds; see `search`.

        Args:
            queries_QD: Checked queries, at least one.
            k: At most as many as there are allowed rows.
            allowed: Rows that may be returned; None = all of them.
        """

    @abstractmethod
    def with_effort(self, effort: int) -> "BuiltIndex":
        """The same index, which spends another effort on each query; nothing is copied."""

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write a folder that `open_index` reads, whole or not at all.

        The vectors themselves are not in it, except for an exact index.
        """

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Memory that the index takes, without the vectors that candidates are re-scored from."""

    def search(
        self,
        queries_QD: NDArray[np.floating],
        k: int,
        *,
        allowed: NDArray[np.bool_] | Selection | None = None,
    ) -> Scored:
        """The `k` rows with the largest inner products with each query.

        Args:
            queries_QD: Finite numbers, [Q, D].
            k: Results per query; more than there are rows is allowed.
            allowed: Rows that may be returned, one bool per row; None = all.

        Returns:
            Scores [Q, K] float32, best first, and rows [Q, K] int64. -inf and -1 where `k` is more
            than there are (allowed) rows. Equal scores are ordered by row; which of several equal
            rows take the last places is not said.

        Raises:
            ValueError: A query is not of this width or not finite, `k` is not at least 1, or
                `allowed` is not one bool per row.
        """
        queries_QD = checked_queries(queries_QD, self.width)
        check_number(Count, k, "k")
        chosen = selection(allowed, self.rows)
        left = self.rows if chosen is None else chosen.count
        if not left or not len(queries_QD):
            return nothing(len(queries_QD), k)
        found = self.find(queries_QD, min(k, left), chosen)
        return found if k <= left else merge([found, nothing(len(queries_QD), k - left)], k)


def checked_vectors(
    vectors_ND: NDArray[np.floating], place: str = "vectors"
) -> NDArray[np.float32]:
    """The vectors as a float32 matrix whose rows lie one after the other.

    Raises:
        ValueError: They are not a matrix of finite numbers.
    """
    given = np.asarray(vectors_ND)
    if given.ndim != 2 or not given.shape[1] or given.dtype.kind not in "fiu":
        raise ValueError(
            f"{place}: {given.dtype} of shape {given.shape}; give numbers of shape [rows, width]"
        )
    held = np.ascontiguousarray(given, np.float32)
    for start in range(0, len(held), 65536):
        wrong = ~np.isfinite(held[start : start + 65536]).all(1)
        if wrong.any():
            row = start + int(wrong.argmax())
            raise ValueError(
                f"{place}: row {row} has NaN or infinite numbers; leave such rows out, or embed "
                "their texts again"
            )
    return held


def checked_queries(queries_QD: NDArray[np.floating], width: int) -> NDArray[np.float32]:
    """The queries as float32, [Q, width].

    Raises:
        ValueError: They are not a matrix of finite numbers of this width.
    """
    held = checked_vectors(queries_QD, "queries")
    if held.shape[1] != width:
        raise ValueError(
            f"queries: {held.shape[1]} numbers per query; the index was built of vectors of "
            f"{width}: embed queries by the encoder that embedded the texts"
        )
    return held


def checked_threads(threads: int | None) -> int | None:
    """`threads`, or None for all cores; 0 counts as None.

    Raises:
        ValueError: There cannot be so many.
    """
    check_threads(threads)
    return threads
