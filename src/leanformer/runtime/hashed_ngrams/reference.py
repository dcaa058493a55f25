"""What the kernel computes, with numpy: the same integers, some fifty times slower.

Powers and prefix sums modulo 2^64 give the hash of every run at once:

    h(s..e) = P^(e-1) (S_e - S_s)        S_i = Σ_{k<i} c_k P^-k

where P^-1 is the inverse of the odd number P.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leanformer.runtime.hashed_ngrams.classes import SPACE, WORD
from leanformer.runtime.hashed_ngrams.encoding import Joined

LIMIT = 32768  # distinct n-grams that are read of a text
MOST_COUNT = 4095
LEVELS = 17

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(int(_PRIME), -1, 2**64))
_PAIR = np.uint64(0xC2B2AE3D27D4EB4F)
_WORD = np.uint64(0x165667B19E3779F9)
_BIGRAM = np.uint64(0x27D4EB2F165667C5)
_CHARACTERS = 0x85EBCA77C2B2AE63
_SECOND = np.uint64(0xD6E8FEB86659FD93)
_SHARED = np.uint64(0xA0761D6478BD642F)
_ONE = np.uint64(1)

Keys = NDArray[np.uint64]


class Counted(NamedTuple):
    """The n-grams of texts.

    Attributes:
        keys: Key of each n-gram, text after text, [n].
        counts: How often each occurs in its text, [n] uint16.
        ends: Where the n-grams of each text end, [N].
        levels: Of pairs, the level of overlap of words and of characters, [N, 2]; else 0.
    """

    keys: Keys
    counts: NDArray[np.uint16]
    ends: NDArray[np.int64]
    levels: NDArray[np.int32]


def mix(x: Keys) -> Keys:
    """The finalizer of SplitMix64: every bit of the result depends on every bit of `x`."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def count(
    texts: Joined, pairs: Joined | None, classes: NDArray[np.uint8], *, shares: bool
) -> Counted:
    """The n-grams of texts, or of pairs of texts; with `shares` also what both have in common."""
    counted = [_count_text(texts.text(i), classes) for i in range(len(texts))]
    levels = np.zeros((len(texts), 2), np.int32)
    if pairs is not None:
        others = [_count_text(pairs.text(i), classes) for i in range(len(pairs))]
        both = [_pair(a, b, shares) for a, b in zip(counted, others, strict=True)]
        counted = [(keys, counts) for keys, counts, _ in both]
        levels[:] = [level for *_, level in both] if both else 0
    keys = [np.zeros(0, np.uint64), *(keys for keys, _ in counted)]
    counts = [np.zeros(0, np.uint16), *(counts for _, counts in counted)]
    ends = np.cumsum([len(one) for one in keys[1:]], dtype=np.int64)
    return Counted(np.concatenate(keys), np.concatenate(counts), ends, levels)


def score(
    counted: Counted,
    entries: NDArray[np.uint32],
    rows: NDArray[np.int8],
    tf: NDArray[np.int16],
    row_bits: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sums [N, width] of weights, and squared norms [N]; see the package."""
    bits = len(entries).bit_length() - 1
    sums = np.zeros((len(counted.ends), rows.shape[1]), np.int32)
    norms = np.zeros(len(counted.ends), np.int64)
    start = 0
    for text, end in enumerate(counted.ends.tolist()):
        entry = entries[counted.keys[start:end] >> np.uint64(64 - bits)]
        times = tf[counted.counts[start:end]][entry != 0].astype(np.int64)
        entry, start = entry[entry != 0], end
        row = entry & np.uint32(2**row_bits - 1)
        idf = (entry >> np.uint32(row_bits)).astype(np.int64)
        sums[text] = times @ rows[row].astype(np.int64)
        norms[text] = (times * times * idf * idf).sum()
    return sums, norms


def _count_text(text: str, classes: NDArray[np.uint8]) -> tuple[Keys, NDArray[np.uint16]]:
    """Distinct keys of a text in the order in which they first occur, and their counts."""
    points = np.frombuffer(f" {text} ".encode("utf-32-le", "surrogatepass"), np.uint32)
    kind = np.where(points < 2**16, classes[np.minimum(points, 2**16 - 1)], WORD)
    codes = np.where(kind == SPACE, 32, points).astype(np.uint64)
    every = np.concatenate([_word_keys(codes, kind == WORD), _character_keys(codes)])
    keys, first, counts = np.unique(every, return_index=True, return_counts=True)
    order = np.argsort(first)[:LIMIT]
    return keys[order], np.minimum(counts[order], MOST_COUNT).astype(np.uint16)


def _word_keys(points: Keys, inside: NDArray[np.bool_]) -> Keys:
    """Keys of each word, followed by that of the word with the one before it."""
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return np.zeros(0, np.uint64)
    powers = _powers(_PRIME, len(points))
    sums = np.zeros(len(points) + 1, np.uint64)
    np.cumsum(points * _powers(_INVERSE, len(points)), out=sums[1:])
    words = powers[ends - 1] * (sums[ends] - sums[starts])
    found = np.zeros(2 * len(words), np.uint64)
    found[::2] = mix(words + _WORD)
    found[1::2][1:] = mix(words[:-1] * _PAIR + words[1:] + _BIGRAM)
    return np.delete(found, 1) & ~_ONE


def _character_keys(points: Keys) -> Keys:
    """Keys of 3, 4 and 5 code points from each place on, inside padded words."""
    places = len(points) - 2
    spaces = points == 32
    found, held = np.zeros((places, 3), np.uint64), np.zeros((places, 3), bool)
    reach = ~spaces[1:-1]  # from each place on, no space between the ends
    hashes = (points[:-2] * _PRIME + points[1:-1]) * _PRIME + points[2:]
    for n in (3, 4, 5):
        seed = np.uint64(n * _CHARACTERS % 2**64)
        found[: len(hashes), n - 3] = mix(hashes + seed) | _ONE
        held[: len(hashes), n - 3] = reach[: len(hashes)]
        reach = reach[: len(hashes)] & ~spaces[n - 1 : n - 1 + len(hashes)]
        hashes, reach = hashes[:-1] * _PRIME + points[n:], reach[:-1]
    return found[held]


def _pair(
    first: tuple[Keys, NDArray[np.uint16]], second: tuple[Keys, NDArray[np.uint16]], shares: bool
) -> tuple[Keys, NDArray[np.uint16], list[int]]:
    """Keys of both texts and of what they share, counts, and the two levels of overlap."""
    (a, a_counts), (b, b_counts) = first, second
    keys, counts, levels = [a, _marked(b, _SECOND)], [a_counts, b_counts], [0, 0]
    if shares:
        common = b[np.isin(b, a)]
        keys.append(_marked(common, _SHARED))
        counts.append(np.ones(len(common), np.uint16))
        for kind in (0, 1):
            both = int((common & _ONE == kind).sum())
            either = int((a & _ONE == kind).sum() + (b & _ONE == kind).sum()) - both
            levels[kind] = (LEVELS - 1) * both // either if either else 0
    return np.concatenate(keys), np.concatenate(counts), levels


def _marked(keys: Keys, part: np.uint64) -> Keys:
    """The keys in another part of a pair; the lowest bit still tells words from characters."""
    return (mix(keys ^ part) & ~_ONE) | (keys & _ONE)


def _powers(base: np.uint64, count: int) -> Keys:
    """base^0 to base^(count - 1), modulo 2^64."""
    found = np.full(count, base, np.uint64)
    found[0] = _ONE
    return np.multiply.accumulate(found)
