"""Inverted lists: rows are clustered, and a query looks into the lists of its nearest centroids.

    list(x) = argmin_c |x - μ_c|²        a query scores the rows of its `nprobe` nearest lists

Centroids come from k-means. Building is several times cheaper than a graph's.
"""

from typing import Annotated, Any, ClassVar, Literal

from leanformer.core.ranges import Count, Range
from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.faiss_index import FaissDescription
from leanformer.retrieve.indexes.interface import Growth

Probes = Annotated[int, Range(at_least=1, at_most=2**20)]
"""Lists that a query looks into."""
_POINTS = 64  # rows per list that k-means sees at most
_LISTS = 2048


def number_of_lists(lists: int | None, rows: int) -> int:
    """`lists`, or about 4 √N up to 2048, and 2 √N beyond a million rows; at most N / 4."""
    root = rows**0.5
    asked = lists or round(max(min(4 * root, _LISTS), 2 * root))
    return max(1, min(asked, rows if lists else rows // 4))


def listed(made: Any, centroids: Any) -> Any:
    """An index of lists that frees its centroids with itself, and clusters reproducibly."""
    centroids.this.disown()
    made.own_fields = True
    made.cp.seed = 1234
    made.cp.min_points_per_centroid = 1  # FAISS would warn on stderr
    made.cp.max_points_per_centroid = _POINTS
    return made


class InvertedLists(FaissDescription):
    """What all indexes of lists have in common: how many lists a query looks into.

    Attributes:
        lists: Number of lists; None = by the number of rows.
        rescored: Candidates per result that are scored exactly.
    """

    growth: ClassVar[Growth] = "root"
    effort_field: ClassVar[str] = "nprobe"

    lists: int | None
    rescored: int

    def parameters(self, faiss: Any, effort: int, selector: Any) -> Any:
        """`nprobe`, and the filter."""
        return faiss.SearchParametersIVF(nprobe=effort, sel=selector)

    def proposed(self, k: int, effort: int) -> int:
        """`rescored` per result."""
        return k * self.rescored

    def efforts(self, rows: int) -> tuple[int, int]:
        """Up to all lists."""
        return 1, number_of_lists(self.lists, rows)


@technique("ivf", paper="Sivic & Zisserman 2003; Jégou et al. 2011, doi:10.1109/TPAMI.2010.57")
class Ivf(InvertedLists):
    """Look into the nearest of many lists: cheap to build, close to a graph's latency."""

    lists: Count | None = None
    """Number of lists; None = 4 √N, at most 2048 up to a million rows."""
    nprobe: Probes = 16
    """Lists that a query looks into; saved with the index."""
    rescored: Annotated[int, Range(at_least=1, at_most=256)] = 2
    """Candidates per result that are scored exactly."""
    storage: Literal["int8", "fp32"] = "int8"
    """How rows lie in the lists: codes of 8 bits per coordinate, or as they are."""

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """Lists of codes or vectors."""
        lists = number_of_lists(self.lists, rows)
        centroids = faiss.IndexFlatL2(width)
        if self.storage == "fp32":
            return listed(faiss.IndexIVFFlat(centroids, width, lists, metric), centroids)
        kind = faiss.ScalarQuantizer.QT_8bit
        made = faiss.IndexIVFScalarQuantizer(centroids, width, lists, kind, metric)
        return listed(made, centroids)

    def expected(self, width: int, rows: int) -> Expected:
        """Codes with their row numbers, and the centroids."""
        fourcc, each = ("IwSq", width) if self.storage == "int8" else ("IwFl", 4 * width)
        least = rows * (each + 8) + 4 * width * number_of_lists(self.lists, rows)
        return Expected(fourcc=fourcc, width=width, rows=rows, least_bytes=least)
