"""Inverted lists of RaBitQ codes: one bit per coordinate, with an unbiased estimate of distances.

    r = (x - μ_list) / |x - μ_list|      code = sign(r)      <r, q> ≈ <code, q> / <code, r>

The best choice per byte: 32 times smaller than the vectors, and more faithful than product codes of
as many bytes. Rows are centred on the centroid of their list; the best candidates are scored again
by their vectors.
"""

from typing import Annotated, Any

from leanformer.core.ranges import Count, Range
from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.ivf import InvertedLists, Probes, listed, number_of_lists


@technique("ivf-rabitq", paper="Gao & Long 2024, arXiv:2405.12497")
class IvfRabitq(InvertedLists):
    """Lists of one bit per coordinate: the least memory at a high recall, cheap to build."""

    lists: Count | None = None
    """Number of lists; None = 4 √N, at most 2048 up to a million rows."""
    nprobe: Probes = 16
    """Lists that a query looks into; saved with the index."""
    rescored: Annotated[int, Range(at_least=1, at_most=256)] = 8
    """Candidates per result that are scored exactly."""

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """Lists of codes of one bit."""
        centroids = faiss.IndexFlatL2(width)
        lists = number_of_lists(self.lists, rows)
        made = faiss.IndexIVFRaBitQFastScan(centroids, width, lists, metric)
        return listed(made, centroids)

    def expected(self, width: int, rows: int) -> Expected:
        """Codes with their row numbers, and the centroids."""
        least = rows * (width // 8 + 8) + 4 * width * number_of_lists(self.lists, rows)
        return Expected(fourcc="Iwrn", width=width, rows=rows, least_bytes=least)
