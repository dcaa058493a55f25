"""Exact search: every row is scored, by blocked matrix products.

    S_QN = Q_QD X_NDᵀ        the k largest of each row

It is always right, is built at once, and needs no FAISS. Its time grows with the number of rows:
some milliseconds per query at 50,000 rows of 384 numbers, the time that encoding the query takes.

Legend: N row, D width, Q query.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from leanformer.core.technique import technique
from leanformer.retrieve.indexes.exact_scores import Scored, Source, among, score_blocks
from leanformer.retrieve.indexes.interface import (
    BuiltIndex,
    Growth,
    Index,
    checked_threads,
    checked_vectors,
)
from leanformer.retrieve.indexes.saving import read_arrays, write_arrays, write_index
from leanformer.retrieve.indexes.selection import Selection

VECTORS = "vectors.safetensors"
"""The file of an exact index."""
_SPARSE = 0.25  # share of allowed rows up to which gathering them is cheaper than scoring all


def exact_search(
    vectors_ND: NDArray[np.float32], queries_QD: NDArray[np.float32], k: int
) -> Scored:
    """The `k` rows of `vectors_ND` with the largest inner products with each query.

    Returns:
        Scores [Q, K], best first, and rows [Q, K]; -inf and -1 where `k` is more than N.
    """
    return score_blocks(queries_QD, [(np.arange(len(vectors_ND)), vectors_ND)], k)


@technique("exact", paper="")
class Exact(Index):
    """Score every row: always right, the usual choice up to some 50,000 rows."""

    growth: ClassVar[Growth] = "linear"

    def build(
        self, vectors_ND: NDArray[np.floating], *, threads: int | None = None
    ) -> "ExactIndex":
        """See `Index.build`; numpy multiplies with as many threads as OMP_NUM_THREADS says."""
        return ExactIndex(self, checked_vectors(vectors_ND), checked_threads(threads))

    def restore(
        self, folder: Path, rows: int, width: int, source: Source | None, threads: int | None
    ) -> "ExactIndex":
        """See `Index.restore`; the vectors are in the folder."""
        shapes = {"vectors": ("F32", (rows, width))}
        return ExactIndex(self, read_arrays(folder / VECTORS, shapes)["vectors"], threads)


class ExactIndex(BuiltIndex):
    """The vectors themselves."""

    def __init__(
        self, description: Exact, vectors_ND: NDArray[np.float32], threads: int | None
    ) -> None:
        self.description, self.threads = description, threads
        self.vectors_ND = vectors_ND
        self.rows, self.width = vectors_ND.shape
        self.effort, self.efforts = 1, (1, 1)

    @property
    def size_bytes(self) -> int:
        """Bytes of the vectors."""
        return self.vectors_ND.nbytes

    def find(self, queries_QD: NDArray[np.float32], k: int, allowed: Selection | None) -> Scored:
        """The true best rows."""
        if allowed is not None and allowed.count <= self.rows * _SPARSE:
            return among(queries_QD, allowed.rows, self.vectors_ND.__getitem__, k)
        blocks = [(np.arange(self.rows), self.vectors_ND)]
        mask_N = None if allowed is None else allowed.mask_N
        return score_blocks(queries_QD, blocks, k, mask_N)

    def with_effort(self, effort: int) -> "ExactIndex":
        """The same: an exact search has one effort."""
        return self

    def save(self, folder: str | Path) -> None:
        """See `BuiltIndex.save`."""
        write_index(Path(folder), self, self._write)

    def _write(self, folder: Path) -> None:
        write_arrays(folder / VECTORS, {"vectors": self.vectors_ND})
