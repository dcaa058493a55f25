"""The numbers of a linear model on hashed n-grams as they are stored, and its table of buckets."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.hashed_ngrams.kernel import (
    ALIGNMENT,
    MOST_IDF,
    MOST_ROWS,
    ROW_BITS,
    Table,
)
from leanformer.runtime.hashed_ngrams.reference import LEVELS

MOST_BITS = 24
Numbers = dict[str, NDArray[Any]]

_TYPES = {
    "buckets": np.uint32,
    "idf": np.uint16,
    "weights": np.int8,
    "scale": np.float64,
    "b": np.float64,
}
_LEVELS = "levels"


def check_numbers(numbers: Numbers, bits: Any, labels: int, *, pairs: bool) -> None:
    """Refuse numbers that the kernel could not index with, or that do not fit each other.

    Args:
        numbers: Arrays by name.
        bits: Bits of a bucket.
        labels: Columns of weights.
        pairs: Whether pairs of texts are read, which have offsets by their overlap.

    Raises:
        ValueError: What is wrong; the message continues the name of a file.
    """
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits <= MOST_BITS:
        raise ValueError(f"bits is {bits!r}, not an integer from 1 to {MOST_BITS}")
    types = {**_TYPES, _LEVELS: np.float64} if pairs else _TYPES
    if set(numbers) != set(types):
        raise ValueError(f"it holds {sorted(numbers)}, not {sorted(types)}")
    rows = len(numbers["buckets"]) if numbers["buckets"].ndim == 1 else -1
    shapes = {
        "buckets": (rows,),
        "idf": (rows,),
        "weights": (rows, labels),
        "scale": (labels,),
        "b": (labels,),
        _LEVELS: (2, LEVELS, labels),
    }
    for name, dtype in types.items():
        given = numbers[name]
        if given.dtype != dtype or given.shape != shapes[name]:
            raise ValueError(
                f"{name} is {given.dtype} {given.shape}, not {np.dtype(dtype)} {shapes[name]}"
            )
        if given.dtype == np.float64 and not np.isfinite(given).all():
            raise ValueError(f"{name} has numbers that are not finite")
    _check_buckets(numbers["buckets"].astype(np.int64), numbers["idf"], bits)


def _check_buckets(buckets: NDArray[np.int64], idf: NDArray[np.uint16], bits: int) -> None:
    if len(buckets) > MOST_ROWS:
        raise ValueError(f"{len(buckets)} buckets, and {MOST_ROWS} are the most")
    if len(buckets) and (buckets[-1] >= 2**bits or (np.diff(buckets) <= 0).any()):
        raise ValueError(f"buckets do not rise, or reach beyond 2^{bits}")
    if len(idf) and not 1 <= idf.min() <= idf.max() <= MOST_IDF:
        raise ValueError(f"idf is not from 1 to {MOST_IDF} everywhere")


def table_of(numbers: Numbers, bits: int) -> Table:
    """The table of buckets for the kernel, and weights with padded rows."""
    buckets, weights = numbers["buckets"], numbers["weights"]
    width = math.ceil(weights.shape[1] / ALIGNMENT) * ALIGNMENT
    rows = np.zeros((len(buckets), width), np.int8)
    rows[:, : weights.shape[1]] = weights
    entries = np.zeros(2**bits, np.uint32)
    idf = numbers["idf"].astype(np.uint32) << np.uint32(ROW_BITS)
    entries[buckets] = np.arange(len(buckets), dtype=np.uint32) | idf
    return Table(entries, rows)
