"""Binary codes: the sign of each coordinate, compared by Hamming distance.

    c = [x > mean]        distance = number of bits that differ

32 times smaller than the vectors; a million rows are scanned in a few milliseconds. Bits alone
order candidates roughly, so that many are scored again by their vectors. In spaces of few
dimensions there are too few bits to tell rows apart: choose it from some 256 dimensions on.
"""

from typing import Any, ClassVar

from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.scalar import FlatCodes, Rescored


@technique("binary", paper="Yamada et al. 2021, arXiv:2106.00882")
class Binary(FlatCodes):
    """Score every row by the signs of its coordinates: a 32nd of the memory, for wide vectors."""

    signs: ClassVar[bool] = True
    most_rescored: ClassVar[int] = 256

    rescored: Rescored = 16
    """Candidates per result that are scored exactly."""

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """Flat bits."""
        return faiss.IndexBinaryFlat(_bits(width))

    def expected(self, width: int, rows: int) -> Expected:
        """Bits, one row after the other."""
        bits = _bits(width)
        return Expected(fourcc="IBxF", width=bits, rows=rows, least_bytes=rows * (bits // 8))


def _bits(width: int) -> int:
    return -(-width // 8) * 8
