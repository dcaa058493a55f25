"""The n-grams of training texts as a sparse matrix, exactly as they are served.

    x_g = t_g u_g / norm        t, u and norm as in `runtime.hashed_ngrams`

    u_g = round(1023 i_g / max i)
    i_g = (1 + ln (1 + N) / (1 + N_g)) · (2 for words, 1 for characters)

A text has some five times as many n-grams of characters as of words: with a factor of two both
weigh about as much as if each kind had length one by itself.

Legend: N text (N_g those that have g), R bucket that occurs.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.hashed_ngrams.kernel import MOST_IDF, MOST_ROWS, TF, count_all
from leanformer.runtime.hashed_ngrams.reading import Read
from leanformer.runtime.hashed_ngrams.reference import LEVELS

_WORDS = 2.0
_SPARSE = 16  # buckets per n-gram that occurs: about 6 % of new ones fall on one of them
_LEAST_BITS, _MOST_BITS = 12, 22


@dataclass(frozen=True)
class Design:
    """Features of training texts.

    Attributes:
        x: Sparse [N, R], rows of length one.
        levels: Of pairs, sparse [N, 2 LEVELS] of 0 and 1: the overlap of words and of characters.
        buckets: The bucket of each column [R], rising.
        idf: Its weight u [R].
        bits: Bits of a bucket.
    """

    x: Any
    levels: Any
    buckets: NDArray[np.uint32]
    idf: NDArray[np.uint16]
    bits: int


def design(read: Read, most_rows: int = MOST_ROWS) -> Design:
    """Count the n-grams of texts, choose buckets and weigh them.

    Args:
        read: The texts.
        most_rows: Of more buckets those that most texts have are kept.

    Raises:
        ValueError: There are no n-grams.
    """
    from scipy import sparse

    counted = count_all(read)
    keys = np.concatenate([np.zeros(0, np.uint64), *(one.keys for one in counted)])
    if not len(keys):
        raise ValueError("there is not a single word in the texts")
    times = TF[np.concatenate([one.counts for one in counted])].astype(np.float64)
    ends = np.cumsum(np.concatenate([[0], *(np.diff(one.ends, prepend=0) for one in counted)]))
    bits = _bits(keys)
    place = (keys >> np.uint64(64 - bits)).astype(np.int64)
    every = np.bincount(place, minlength=2**bits)
    buckets = np.flatnonzero(every)
    frequency = every[buckets]
    column = (np.cumsum(every > 0) - 1)[place]
    words = np.zeros(len(buckets), bool)
    words[column[keys & np.uint64(1) == 0]] = True
    kept = _commonest(frequency, most_rows)
    idf = _idf(frequency, words, len(read)) * kept
    data = times * idf[column]  # of those that are not kept, 0
    row = np.repeat(np.arange(len(read)), np.diff(ends))
    # n-grams that share a bucket are two terms of the norm, as in the kernel
    norms = np.sqrt(np.maximum(np.bincount(row, data**2, len(read)), 1))
    x = sparse.csr_matrix((data / norms[row], column, ends), (len(read), len(buckets)))
    x.sum_duplicates()
    levels = np.concatenate([one.levels for one in counted])
    return Design(
        x if kept.all() else x[:, kept],
        _one_hot(levels) if read.shares else None,
        buckets[kept].astype(np.uint32),
        idf[kept].astype(np.uint16),
        bits,
    )


def _bits(keys: NDArray[np.uint64]) -> int:
    """Bits of a bucket: so many that those which occur are few among all."""
    occur = np.count_nonzero(np.bincount((keys >> np.uint64(64 - _MOST_BITS)).astype(np.int64)))
    return min(_MOST_BITS, max(_LEAST_BITS, math.ceil(math.log2(_SPARSE * occur))))


def _idf(frequency: NDArray[np.int64], words: NDArray[np.bool_], texts: int) -> NDArray[np.float64]:
    """The integer weight of each bucket."""
    idf = 1 + np.log((1 + texts) / (1 + np.minimum(frequency, texts)))
    idf *= np.where(words, _WORDS, 1.0)
    return np.maximum(1, np.rint(MOST_IDF * idf / idf.max()))


def _commonest(frequency: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """Which buckets are kept: those of the largest frequencies."""
    kept = np.ones(len(frequency), bool)
    kept[np.argsort(-frequency, kind="stable")[most:]] = False
    return kept


def _one_hot(levels: NDArray[np.int32]) -> Any:
    from scipy import sparse

    place = levels + np.array([0, LEVELS])
    ends = np.arange(0, 2 * len(levels) + 1, 2)
    return sparse.csr_matrix((np.ones(place.size), place.ravel(), ends), (len(levels), 2 * LEVELS))
