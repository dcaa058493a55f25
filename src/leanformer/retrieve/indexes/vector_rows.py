"""Where an index is built of: vectors in memory, or those of a store, read block by block.

Legend: N row, D width, B row of a block.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.store import Snapshot

BLOCK_ROWS = 65536
"""Rows of a block, at most."""


class VectorRows(Protocol):
    """Finite vectors that are numbered from 0.

    Attributes:
        shape: (N, D).
    """

    shape: tuple[int, int]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, [n, D]."""
        ...

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """All vectors in order, [B, D] at a time."""
        ...


class HeldRows:
    """Vectors in memory; see `VectorRows`."""

    def __init__(self, vectors_ND: NDArray[np.float32]) -> None:
        self.vectors_ND = vectors_ND
        self.shape: tuple[int, int] = vectors_ND.shape

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `VectorRows.take`."""
        return self.vectors_ND[rows]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `VectorRows.blocks`."""
        starts = range(0, len(self.vectors_ND), BLOCK_ROWS)
        return (self.vectors_ND[start : start + BLOCK_ROWS] for start in starts)


class StoredRows:
    """The rows of a snapshot that are alive, whose vectors stay on the disk; see `VectorRows`.

    Attributes:
        rows_N: The row of the store of each.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self.rows_N = np.flatnonzero(snapshot.alive())
        self.shape = (len(self.rows_N), snapshot.width)
        self._snapshot = snapshot

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `VectorRows.take`."""
        return self._snapshot.vectors(self.rows_N[rows])

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """See `VectorRows.blocks`."""
        return (vectors for _, vectors in self._snapshot.blocks(BLOCK_ROWS))
