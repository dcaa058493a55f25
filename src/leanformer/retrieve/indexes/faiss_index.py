"""Indexes of FAISS: it proposes candidates, which are then scored exactly.

A technique describes the index of FAISS (`make`) and how it is searched (`parameters`); what all
share is here: vectors are placed where nearest neighbours are the largest inner products
(`augmentation.Space`: one more dimension where norms differ, centred), rows are added in blocks,
threads are set at each call, filters reach FAISS as a bitmap.

Legend: N row, D width, E width in the space, Q query, C candidate.
"""

import functools
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from leanformer.core.machine.threads import cores
from leanformer.retrieve.indexes.augmentation import Space
from leanformer.retrieve.indexes.exact_scores import Scored, Source, among, rescore
from leanformer.retrieve.indexes.faiss_file import (
    FILE,
    Expected,
    import_faiss,
    read_faiss,
    threads_of_faiss,
)
from leanformer.retrieve.indexes.interface import (
    BuiltIndex,
    Index,
    checked_threads,
    checked_vectors,
)
from leanformer.retrieve.indexes.saving import WAY_OUT, read_arrays, write_arrays, write_index
from leanformer.retrieve.indexes.selection import Selection
from leanformer.retrieve.indexes.vector_rows import HeldRows, VectorRows

_TRAINED = 2**18  # rows that training sees at most
_FEW = 20_000  # allowed rows up to which all of them are scored: a few milliseconds
SPACE = "space.safetensors"


class FaissDescription(Index):
    """What the techniques of FAISS have in common."""

    effort_field: ClassVar[str]
    """The field that says what a query costs."""
    least_rows: ClassVar[int] = 1
    """Rows without which the index cannot be trained."""
    whole: ClassVar[bool] = False
    """Whether FAISS is given whole numbers up to 127 in place of numbers."""
    augmenting: ClassVar[bool] = True
    """Whether rows of different lengths are augmented; else their inner products are compared."""
    signs: ClassVar[bool] = False
    """Whether FAISS is given one bit per coordinate, its sign, in place of numbers."""

    @abstractmethod
    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """The untrained index of FAISS for so many rows of this width, under this metric."""

    @abstractmethod
    def parameters(self, faiss: Any, effort: int, selector: Any) -> Any:
        """FAISS's parameters of a search with this effort."""

    @abstractmethod
    def proposed(self, k: int, effort: int) -> int:
        """How many candidates are asked for."""

    @abstractmethod
    def efforts(self, rows: int) -> tuple[int, int]:
        """The least and the most effort that make a difference with so many rows."""

    @abstractmethod
    def expected(self, width: int, rows: int) -> Expected:
        """What a file of such an index must be."""

    def build(
        self, vectors_ND: NDArray[np.floating], *, threads: int | None = None
    ) -> "FaissIndex":
        """See `Index.build`."""
        return self.build_of(HeldRows(checked_vectors(vectors_ND)), threads=threads)

    def build_of(self, vectors: VectorRows, *, threads: int | None = None) -> "FaissIndex":
        """See `Index.build_of`; trained on a sample, the rows are added block by block."""
        threads, (rows, width) = checked_threads(threads), vectors.shape
        check_rows(self, rows, self.least_rows)
        space = Space.of(vectors, self.whole, augmenting=self.augmenting)
        with threads_of_faiss(threads) as faiss:
            index = self.make(faiss, space.placed_width, rows, _metric(faiss, space))
            index.train(self.given(space.rows(vectors.take(_some(rows)))))
            for block in vectors.blocks():
                index.add(self.given(space.rows(block)))
        return FaissIndex(self, index, space, width, vectors.take, threads)

    def given(self, placed: NDArray[np.float32]) -> NDArray[Any]:
        """Vectors of the space as FAISS takes them: numbers, or their signs as packed bits."""
        return np.packbits(placed > 0, axis=1) if self.signs else placed

    def restore(
        self, folder: Path, rows: int, width: int, source: Source | None, threads: int | None
    ) -> "FaissIndex":
        """See `Index.restore`."""
        if source is None:
            raise ValueError(
                f"{folder} holds no vectors to re-score candidates from; give those it was built of"
            )
        try:
            space = Space.read(read_arrays(folder / SPACE, Space.shapes()), width)
        except ValueError as error:
            raise ValueError(f"{folder / SPACE}: {error}; {WAY_OUT}") from error
        expected = self.expected(space.placed_width, rows)
        metric = _metric(import_faiss(), space)
        index = read_faiss(folder / FILE, replace(expected, metric=metric))
        return FaissIndex(self, index, space, width, source, threads)


class FaissIndex(BuiltIndex):
    """A built index of FAISS, and where its rows' vectors are."""

    def __init__(
        self,
        description: FaissDescription,
        index: Any,
        space: Space,
        width: int,
        source: Source,
        threads: int | None,
    ) -> None:
        self.description: FaissDescription = description
        self.rows, self.width, self.threads = int(index.ntotal), width, threads
        self.effort = getattr(description, description.effort_field)
        self.efforts = description.efforts(self.rows)
        self._index, self._space, self._source = index, space, source

    @functools.cached_property
    def size_bytes(self) -> int:
        """Bytes of the index as FAISS writes it."""
        faiss = import_faiss()
        binary = self.description.signs
        write = faiss.serialize_index_binary if binary else faiss.serialize_index
        return int(write(self._index).nbytes)

    def find(self, queries_QD: NDArray[np.float32], k: int, allowed: Selection | None) -> Scored:
        """See `BuiltIndex.find`: few allowed rows are all scored, else candidates are.

        With a filter, most of what FAISS visits is not allowed: the effort grows as the share of
        allowed rows falls. Queries for which FAISS proposes fewer than `k` rows are answered
        exactly, so that results are missing only where rows are.
        """
        if allowed is not None and allowed.count <= max(_FEW, k):
            return among(queries_QD, allowed.rows, self._source, k)
        left = self.rows if allowed is None else allowed.count
        effort = min(self.effort * self.rows // left, max(self.effort, self.efforts[1]))
        candidates_QC = self._proposed(queries_QD, k, allowed, effort)
        scores_QK, rows_QK = rescore(queries_QD, candidates_QC, self._source, k)
        short = np.flatnonzero(rows_QK[:, k - 1] < 0)
        if len(short):
            rest = np.arange(self.rows) if allowed is None else allowed.rows
            scores_QK[short], rows_QK[short] = among(queries_QD[short], rest, self._source, k)
        return scores_QK, rows_QK

    def with_effort(self, effort: int) -> "FaissIndex":
        """See `BuiltIndex.with_effort`."""
        described: Any = self.description  # a technique: a dataclass
        description = replace(described, **{described.effort_field: effort})
        return FaissIndex(
            description, self._index, self._space, self.width, self._source, self.threads
        )

    def with_source(self, source: Source) -> Self:
        """The same index, whose vectors come from elsewhere (a store on disk)."""
        made = (self.description, self._index, self._space, self.width, source, self.threads)
        return type(self)(*made)

    def save(self, folder: str | Path) -> None:
        """See `BuiltIndex.save`."""
        write_index(Path(folder), self, self.write)

    def write(self, folder: Path) -> None:
        """Write the files of the index into a folder."""
        faiss = import_faiss()
        write = faiss.write_index_binary if self.description.signs else faiss.write_index
        write(self._index, str(folder / FILE))
        write_arrays(folder / SPACE, self._space.arrays())

    def _proposed(
        self, queries_QD: NDArray[np.float32], k: int, allowed: Selection | None, effort: int
    ) -> NDArray[np.int64]:
        """Candidates, [Q, C]."""
        given = self.description.given(self._space.queries(queries_QD))
        count = min(self.description.proposed(k, effort), self.rows)
        threads = min(self.threads or cores(), len(given))  # of several for one query, most wait
        with threads_of_faiss(threads) as faiss:
            selector = None if allowed is None else faiss.IDSelectorBitmap(allowed.bits)
            parameters = self.description.parameters(faiss, effort, selector)
            _, rows_QC = self._index.search(given, count, params=parameters)
        return np.asarray(rows_QC, np.int64)


def check_rows(description: Index, rows: int, least: int) -> None:
    """Refuse to build of fewer rows than an index can be trained of.

    Raises:
        ValueError: There are fewer.
    """
    if rows < least:
        name = type(description).__name__
        raise ValueError(
            f"vectors: {rows} rows; {name} needs at least {least}. Exact() takes any number, and "
            "is fast enough up to some 50,000"
        )


def _metric(faiss: Any, space: Space) -> int:
    return int(faiss.METRIC_INNER_PRODUCT if space.inner else faiss.METRIC_L2)


def _some(rows: int) -> NDArray[np.int64]:
    """Rows to train with: all, or as many as training can use, drawn with a fixed seed."""
    if rows <= _TRAINED:
        return np.arange(rows)
    drawn = np.random.default_rng(0).choice(rows, _TRAINED, replace=False)
    return np.sort(drawn)
