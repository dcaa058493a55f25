"""A seeded permutation of 0 … n - 1 that is computed, not stored.

    x = (l, r),  l < a,  r < b,  a b >= n
    l <- (l + F_k(r)) mod a,   r <- (r + F_k'(l)) mod b        a few times; each line is invertible
    until x < n                                                cycle walking; a b is hardly above n

A Feistel network on two numbers (Black & Rogaway 2002, "Ciphers with arbitrary finite domains"):
the place of an element in the order takes a few operations, whatever n is and whatever was asked
for before. F is a mixing hash (splitmix64, Steele et al. 2014) with the seed in it.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 4
_MASK = 2**64 - 1


@dataclass(frozen=True)
class Permutation:
    """A permutation of the whole numbers below `size`.

    Attributes:
        size: How many numbers; 1 or more.
        seed: Which permutation.
    """

    size: int
    seed: int

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers at these places."""
        side = np.uint64(max(1, isqrt(self.size - 1) + 1))
        other = np.uint64(-(-self.size // int(side)))
        found = self._rounds(places.astype(np.uint64), side, other)
        while (outside := found >= self.size).any():
            found[outside] = self._rounds(found[outside], side, other)
        return found.astype(np.int64)

    def _rounds(
        self, numbers: NDArray[np.uint64], side: np.uint64, other: np.uint64
    ) -> NDArray[np.uint64]:
        left, right = numbers // other, numbers % other
        for number in range(_ROUNDS):
            left = (left + _mixed(right, self.seed, 2 * number) % side) % side
            right = (right + _mixed(left, self.seed, 2 * number + 1) % other) % other
        return left * other + right


def _mixed(numbers: NDArray[np.uint64], seed: int, number: int) -> NDArray[np.uint64]:
    """splitmix64 of numbers with a seed and the number of the round."""
    key = ((seed + 1) * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03) & _MASK
    found = numbers + np.uint64(key)
    found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))
