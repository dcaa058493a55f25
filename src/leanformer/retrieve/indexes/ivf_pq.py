"""Inverted lists of product codes: 4 bits per group of coordinates, scanned in registers.

    x - μ_list ≈ [codebook_1[c_1]; …; codebook_m[c_m]]        c_i among 16

A query's distances to the 16 entries of each codebook fit into a register, so that 32 rows are
scored at once. Codes are coarse: the best candidates are scored again by their vectors. Rows are
centred first: the codebooks would otherwise spend their bits on what all rows share, and recall
falls to a half.
"""

from typing import Annotated, Any, ClassVar

from leanformer.core.ranges import Count, Range
from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.ivf import InvertedLists, Probes, listed, number_of_lists

_BITS = 4


@technique(
    "ivf-pq", paper="Jégou et al. 2011, doi:10.1109/TPAMI.2010.57; André et al. 2015 (fast scan)"
)
class IvfPq(InvertedLists):
    """Lists of product codes: the highest throughput of many queries at once, small codes."""

    least_rows: ClassVar[int] = 2**_BITS

    lists: Count | None = None
    """Number of lists; None = 4 √N, at most 2048 up to a million rows."""
    nprobe: Probes = 16
    """Lists that a query looks into; saved with the index."""
    group: Annotated[int, Range(at_least=1, at_most=4)] = 4
    """Coordinates per code: 1, 2 or 4; fewer are finer."""
    rescored: Annotated[int, Range(at_least=1, at_most=256)] = 10
    """Candidates per result that are scored exactly."""

    def __post_init__(self) -> None:
        if self.group == 3:
            raise ValueError("group: 3 does not divide the width; set it to 1, 2 or 4")

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """Lists of codes of 4 bits."""
        centroids = faiss.IndexFlatL2(width)
        lists = number_of_lists(self.lists, rows)
        made = faiss.IndexIVFPQFastScan(centroids, width, lists, width // self.group, _BITS, metric)
        made.pq.cp.min_points_per_centroid = 1
        return listed(made, centroids)

    def expected(self, width: int, rows: int) -> Expected:
        """Codes with their row numbers, the centroids and the codebooks."""
        lists = number_of_lists(self.lists, rows)
        least = rows * (width // self.group // 2 + 8) + 4 * width * (lists + 2**_BITS)
        table = 4 * lists * (width // self.group) * 2**_BITS
        return Expected(fourcc="IwPf", width=width, rows=rows, least_bytes=least, table_bytes=table)
