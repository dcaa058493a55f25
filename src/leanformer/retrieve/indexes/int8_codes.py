"""Int8 codes: all coordinates on one symmetric grid of whole numbers, as embeddings are often sent.

    c = round(127 x / max |x|)

One scale for all coordinates, after the mean was subtracted; queries are rounded to the same grid,
so that distances are those of whole numbers. Where a few coordinates are much
larger than the rest, `scalar` is finer: it has a grid per coordinate.
"""

from typing import Any, ClassVar

from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.scalar import FlatCodes, Rescored


@technique("int8-codes", paper="")
class Int8Codes(FlatCodes):
    """Score every row by whole numbers of one grid: a quarter of the memory, nothing to train."""

    whole: ClassVar[bool] = True

    rescored: Rescored = 4
    """Candidates per result that are scored exactly."""

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """Flat codes."""
        kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
        return faiss.IndexScalarQuantizer(width, kind, metric)

    def expected(self, width: int, rows: int) -> Expected:
        """Codes, one row after the other."""
        return Expected(fourcc="IxSQ", width=width, rows=rows, least_bytes=rows * width)
