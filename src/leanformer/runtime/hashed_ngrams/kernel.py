"""The compiled kernel where there is one, else numpy: the same integers either way.

The environment variable LEANFORMER_NGRAMS=numpy leaves the kernel out.
"""

import ctypes
import logging
import os
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.hashed_ngrams import reference
from leanformer.runtime.hashed_ngrams.build import library
from leanformer.runtime.hashed_ngrams.encoding import slices
from leanformer.runtime.hashed_ngrams.reading import Read
from leanformer.runtime.hashed_ngrams.reference import MOST_COUNT, Counted

ROW_BITS = 22
MOST_ROWS = 2**ROW_BITS
MOST_IDF = 2 ** (32 - ROW_BITS) - 1
ALIGNMENT = 16  # columns of weights are padded to a multiple of it
TF = np.array([0, *np.rint(16 * (1 + np.log(np.arange(1, MOST_COUNT + 1)))).astype(int)], np.int16)
"""The term frequency of each count, in sixteenths."""

_log = logging.getLogger(__name__)
_VERSION = 1  # of the functions of kernel.c
_SLICE = 2**20  # bytes of text whose n-grams are counted at once
_PER_BYTE, _PER_TEXT = 15, 24  # n-grams at most: 5 a byte and 8 a text, of both texts and shared
_MEMORY = -2


@dataclass(frozen=True)
class Table:
    """Buckets and weights.

    Attributes:
        entries: By bucket, [2^B]: the row, and above `ROW_BITS` its idf; 0 = never seen.
        rows: Weights [R, width] with idf in them; the width is a multiple of `ALIGNMENT`.
    """

    entries: NDArray[np.uint32]
    rows: NDArray[np.int8]

    def __reduce__(self) -> Any:
        return Table, (self.entries, self.rows)  # a copy has addresses of its own

    @property
    def bits(self) -> int:
        """Bits of a bucket."""
        return len(self.entries).bit_length() - 1

    @cached_property
    def given(self) -> tuple[Any, ...]:
        """What the kernel is given of it: addresses are slow to ask for at every call."""
        return self.bits, _at(self.entries), _at(self.rows), self.rows.shape[1], _at(TF)


@dataclass(frozen=True)
class Scores:
    """Sums [N, width], squared norms [N], and of pairs the levels of overlap [N, 2]."""

    sums: NDArray[np.int32]
    norms: NDArray[np.int64]
    levels: NDArray[np.int32]


def kernel_name() -> str:
    """What computes here: "c" or "numpy"."""
    return "numpy" if _library() is None else "c"


def count(read: Read) -> Counted:
    """The n-grams of texts.

    They take up to 150 bytes per byte of text: `count_all` is for many texts.
    """
    loaded = _library()
    if loaded is None:
        return reference.count(read.texts, read.pairs, read.classes, shares=read.shares)
    number = len(read)
    size = len(read.texts.data) + (0 if read.pairs is None else len(read.pairs.data))
    room = _PER_BYTE * size + _PER_TEXT * number
    keys, counts = np.empty(room, np.uint64), np.empty(room, np.uint16)
    ends, levels = np.empty(number, np.int64), np.zeros((number, 2), np.int32)
    total = loaded.leanformer_ngrams_count(
        *_given(read), room, _at(keys), _at(counts), _at(ends), _at(levels)
    )
    _check(total)
    return Counted(keys[:total].copy(), counts[:total].copy(), ends, levels)


def count_all(read: Read) -> list[Counted]:
    """The n-grams of any number of texts, in runs of about a megabyte of text."""
    return [count(read.part(*run)) for run in slices(read.texts, read.pairs, _SLICE)]


def score(read: Read, table: Table) -> Scores:
    """Sums of the weights of each text's n-grams."""
    loaded, number, width = _library(), len(read), table.rows.shape[1]
    if loaded is None:
        counted = reference.count(read.texts, read.pairs, read.classes, shares=read.shares)
        sums, norms = reference.score(counted, table.entries, table.rows, TF, ROW_BITS)
        return Scores(sums, norms, counted.levels)
    sums, norms = np.zeros((number, width), np.int32), np.zeros(number, np.int64)
    levels = np.zeros((number, 2), np.int32)
    result = loaded.leanformer_ngrams_score(
        *_given(read), *table.given, _at(sums), _at(norms), _at(levels)
    )
    _check(result)
    return Scores(sums, norms, levels)


@cache
def _library() -> Any:
    """The functions of the compiled kernel, or None; said once."""
    if os.environ.get("LEANFORMER_NGRAMS") == "numpy":
        return None
    path = library()
    try:
        loaded = ctypes.CDLL(str(path))
        fit = loaded.leanformer_ngrams_version() == _VERSION
    except (OSError, AttributeError):
        fit = False
    if not fit:
        _log.warning(
            "n-grams are computed by numpy, some fifty times slower than by the compiled kernel, "
            "which is not at %s; with a C compiler, build it: "
            "python -m leanformer.runtime.hashed_ngrams.build",
            path,
        )
        return None
    pointer: Any = ctypes.c_void_p
    number: Any = ctypes.c_int64
    small: Any = ctypes.c_int32
    texts = [pointer] * 4 + [number, small, pointer]
    loaded.leanformer_ngrams_count.argtypes = [*texts, number, *[pointer] * 4]
    loaded.leanformer_ngrams_score.argtypes = [
        *texts, small, pointer, pointer, number, *[pointer] * 4
    ]  # fmt: skip
    loaded.leanformer_ngrams_count.restype = loaded.leanformer_ngrams_score.restype = number
    return loaded


def _given(read: Read) -> list[int | None]:
    pairs = read.pairs
    second = [None, None] if pairs is None else [_at(pairs.data), _at(pairs.at)]
    first = [_at(read.texts.data), _at(read.texts.at)]
    return [*first, *second, len(read), read.shares, _at(read.classes)]


def _at(array: NDArray[Any]) -> int:
    assert array.flags.c_contiguous
    return array.ctypes.data


def _check(result: int) -> None:
    assert result != -1, "there is room for all n-grams"
    if result == _MEMORY:
        raise MemoryError("no memory for the n-grams of these texts; hand over fewer at once")
