"""Vectors and indexes that the tests of `leanformer.retrieve.indexes` share."""

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.indexes import (
    Binary,
    Exact,
    Hnsw,
    Index,
    Int8Codes,
    Ivf,
    IvfPq,
    IvfRabitq,
    Scalar,
)

ALL: tuple[Index, ...] = (
    Exact(),
    Scalar(),
    Scalar(bits=4, rescored=16),
    Int8Codes(),
    Binary(rescored=64),
    Hnsw(ef=256),
    Hnsw(storage="fp32", ef=256),
    Ivf(),
    Ivf(storage="fp32"),
    IvfPq(),
    IvfRabitq(),
)
APPROXIMATE = ALL[1:]


def name(value: object) -> str | None:
    return repr(value) if isinstance(value, Index) else None


def clustered(
    rows: int, width: int = 36, *, unit: bool = True, seed: int = 0, shift: float = 0.0
) -> NDArray[np.float32]:
    """Rows around 40 centres with a common part, of length 1 or of very different lengths."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((40, width))
    made = centres[rng.integers(0, 40, rows)] + 0.7 * rng.standard_normal((rows, width)) + shift
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    if not unit:
        made *= rng.uniform(0.2, 3.0, (rows, 1))
    return made.astype(np.float32)


def naive(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The k best rows of each query, one at a time, in float64."""
    found = []
    for query in queries.astype(np.float64):
        scores = [float(np.dot(row, query)) for row in vectors.astype(np.float64)]
        found.append(sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k])
    return np.array(found)
