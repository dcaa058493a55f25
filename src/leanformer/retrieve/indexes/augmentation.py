"""Largest inner products as nearest neighbours: one more dimension makes all vectors equally long.

    x' = [x; sqrt(M² - |x|²)]        M = max |x|        q' = [q; 0]
    |x' - q'|² = M² + |q|² - 2 x·q

The distance falls as the inner product rises, so the row with the largest inner product is the
nearest row, whatever the norms are. Clusters, codes and graphs are made for distances, which obey
the triangle inequality; inner products do not. Subtracting one vector from both sides (the mean)
changes no distance; product quantization and RaBitQ need it, since embeddings often share a large
common part that would take all of a code's bits.

Legend: N row, D width of a vector, E width of an augmented vector, Q query.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.indexes.vector_rows import VectorRows

_EQUAL = 1e-3  # relative spread of norms up to which rows count as equally long
_SMALLEST = 1e-30  # length below which a query is taken as it is
_LARGEST_CODE = 127.0
_LONGEST = 1e18  # rows are at most twice this apart, and float32 holds the square of that
_MULTIPLE = 4  # widths that product quantization can split


def augment(vectors_ND: NDArray[np.floating], max_norm: float) -> NDArray[np.floating]:
    """Append `sqrt(max_norm² - |x|²)` to each row; then all rows have length `max_norm`.

    Args:
        vectors_ND: Rows of any lengths up to `max_norm`.
        max_norm: Length of the longest row. Rows that are longer get 0, as rounding requires.

    Returns:
        [N, D + 1] of the same dtype; the appended column is computed in float64.
    """
    squares_N = np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float64)
    rest_N = np.sqrt(np.maximum(float(max_norm) ** 2 - squares_N, 0.0))
    return np.concatenate([vectors_ND, rest_N[:, None].astype(vectors_ND.dtype)], axis=1)


def augment_queries(queries_QD: NDArray[np.floating]) -> NDArray[np.floating]:
    """Append a 0 to each query: [Q, D + 1]."""
    return np.concatenate([queries_QD, np.zeros_like(queries_QD[:, :1])], axis=1)


def norms(vectors_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    """Euclidean length of each row, [N], computed in float64."""
    squares_N: NDArray[np.float64] = np.einsum("nd,nd->n", vectors_ND, vectors_ND, dtype=np.float64)
    return np.sqrt(squares_N)


@dataclass(frozen=True, eq=False)
class Space:
    """Where nearest neighbours by L2 are the largest inner products.

    Attributes:
        length: M, of the longest row. Queries are made as long: that changes no order, and puts
            them where the rows are.
        mean: Subtracted from rows and queries: [D], or [D + 1] where rows differ in length and are
            augmented.
        width: D, of vectors outside of this space.
        scale: Factor on both; the result is then rounded to whole numbers. 0 = it is not.
        inner: Whether rows differ in length and were left as they are: then the index compares
            inner products, not distances.
    """

    length: float
    mean: NDArray[np.float32]
    width: int
    scale: float = 0.0
    inner: bool = False

    @classmethod
    def of(cls, vectors: VectorRows, whole: bool = False, *, augmenting: bool = True) -> "Space":
        """The space of these rows, which are read twice at most, block by block.

        Args:
            vectors: The rows, at least one.
            whole: Whether coordinates become whole numbers; the largest of all becomes 127.
            augmenting: Whether rows of different lengths are augmented; otherwise they stay as they
                are, and inner products are compared.

        Raises:
            ValueError: A row is so long that float32 does not hold the squares of distances.
        """
        count, width = vectors.shape
        lengths_N, total = np.empty(count), np.zeros(width)
        start = 0
        for block in vectors.blocks():
            lengths_N[start : start + len(block)] = norms(block)
            total += block.sum(0, dtype=np.float64)
            start += len(block)
        longest, mean = float(lengths_N.max()), total / count
        _check_longest(longest, int(lengths_N.argmax()))
        if lengths_N.min() < (1 - _EQUAL) * longest:
            if not augmenting:
                return cls(longest, np.zeros(width, np.float32), width, inner=True)
            mean = np.append(mean, np.sqrt(np.maximum(longest**2 - lengths_N**2, 0)).mean())
        made = cls(longest, mean.astype(np.float32), width)
        if not whole:
            return made
        farthest = max(float(np.abs(made.rows(block)).max()) for block in vectors.blocks())
        return replace(made, scale=_LARGEST_CODE / farthest if farthest else 1.0)

    @property
    def augmented(self) -> bool:
        """Whether there is one more dimension."""
        return len(self.mean) > self.width

    @property
    def placed_width(self) -> int:
        """E: D, augmented, and filled with zeros up to a multiple of 4."""
        return -(-len(self.mean) // _MULTIPLE) * _MULTIPLE

    def rows(self, vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows in this space, [N, E]."""
        return self._placed(augment(vectors_ND, self.length) if self.augmented else vectors_ND)

    def queries(self, queries_QD: NDArray[np.float32]) -> NDArray[np.float32]:
        """Queries in this space, [Q, E]."""
        lengths_Q = norms(queries_QD)
        factors_Q = np.divide(
            self.length, lengths_Q, out=np.ones_like(lengths_Q), where=lengths_Q > _SMALLEST
        )
        scaled_QD = (queries_QD * factors_Q[:, None]).astype(np.float32)
        return self._placed(augment_queries(scaled_QD) if self.augmented else scaled_QD)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The space as arrays, for a file."""
        return {"mean": self.mean, "factors": np.array([self.length, self.scale, self.inner])}

    @staticmethod
    def shapes() -> dict[str, tuple[str, tuple[int | None, ...]]]:
        """The dtypes and shapes of `arrays`."""
        return {"mean": ("F32", (None,)), "factors": ("F64", (3,))}

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any]], width: int) -> "Space":
        """The space of these arrays, for vectors of this width.

        Raises:
            ValueError: They do not fit each other.
        """
        length, scale, inner = map(float, arrays["factors"])
        numbers = np.append(arrays["mean"], [length, scale, inner])
        if not np.isfinite(numbers).all() or min(length, scale) < 0:
            raise ValueError("it holds numbers that no space has")
        if len(arrays["mean"]) not in ((width,) if inner else (width, width + 1)):
            raise ValueError(f"it is not the space of vectors of width {width}")
        return cls(length, arrays["mean"], width, scale, bool(inner))

    def _placed(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        placed_NE = np.zeros((len(vectors), self.placed_width), np.float32)
        part = placed_NE[:, : len(self.mean)]
        np.subtract(vectors, self.mean, out=part)
        if self.scale:
            part *= self.scale
            np.clip(np.rint(part, out=part), -_LARGEST_CODE, _LARGEST_CODE, out=part)
        return placed_NE


def _check_longest(longest: float, row: int) -> None:
    """Refuse rows whose distances overflow: where they do, FAISS ends the whole process.

    Raises:
        ValueError: There are some.
    """
    if longest > _LONGEST:
        raise ValueError(
            f"vectors: row {row} has length {longest:.3g}, and squares of distances are computed "
            f"in float32, which takes lengths up to {_LONGEST:g}; divide all vectors by one number"
        )
