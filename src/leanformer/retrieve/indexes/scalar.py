"""Scalar quantization: each coordinate becomes a code of 8, 6 or 4 bits on a grid of its own.

    c_d = round((x_d - low_d) / (high_d - low_d) · (2^bits - 1))        low, high of the rows

Every row is scored by its codes, and the best candidates by their vectors. A single query is
answered about twice as fast as by an exact search, because a quarter of the bytes is read; many
queries at once are slower, because codes cannot be multiplied as matrices.
"""

from typing import Annotated, Any, ClassVar, Literal

from leanformer.core.ranges import Range
from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.faiss_index import FaissDescription
from leanformer.retrieve.indexes.interface import Growth

Rescored = Annotated[int, Range(at_least=1, at_most=256)]
"""Candidates per result."""


class FlatCodes(FaissDescription):
    """What all indexes have in common that score the codes of every row."""

    growth: ClassVar[Growth] = "linear"
    effort_field: ClassVar[str] = "rescored"
    most_rescored: ClassVar[int] = 64
    """Candidates per result beyond which more make no difference."""

    def parameters(self, faiss: Any, effort: int, selector: Any) -> Any:
        """Only the filter: all rows are scored."""
        return faiss.SearchParameters(sel=selector)

    def proposed(self, k: int, effort: int) -> int:
        """The effort is the number of candidates per result."""
        return k * effort

    def efforts(self, rows: int) -> tuple[int, int]:
        """Up to `most_rescored` candidates per result."""
        return 1, self.most_rescored


@technique("scalar", paper="")
class Scalar(FlatCodes):
    """Score every row by small codes: a quarter of the memory, for single queries."""

    bits: Literal[8, 6, 4] = 8
    """Bits per coordinate."""
    rescored: Rescored = 4
    """Candidates per result that are scored exactly."""

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """Flat codes."""
        kind = getattr(faiss.ScalarQuantizer, f"QT_{self.bits}bit")
        return faiss.IndexScalarQuantizer(width, kind, metric)

    def expected(self, width: int, rows: int) -> Expected:
        """Codes, one row after the other."""
        least = rows * (width * self.bits // 8)
        return Expected(fourcc="IxSQ", width=width, rows=rows, least_bytes=least)
