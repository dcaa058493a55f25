"""HNSW: a graph of near neighbours in layers, walked greedily from far to near.

    visit the nearest unvisited node of the `ef` best so far; stop when all `ef` are visited

Each row is linked to `links` near rows (twice as many in the lowest layer); higher layers hold ever
fewer rows, so that a walk takes about log N steps. The rows lie in the graph as codes of 8 bits,
which is 1.5 to 2 times as fast as fp32 at nearly the same recall. Rows cannot be removed: deleted
ones are filtered.

Rows of one length are compared by distances, rows of different lengths by inner products: a graph
of augmented rows reaches the same recall only with several times the effort, and over codes it may
never do (LOG.md has the numbers).
"""

from typing import Annotated, Any, ClassVar, Literal

from leanformer.core.ranges import Range
from leanformer.core.technique import technique
from leanformer.retrieve.indexes.faiss_file import Expected
from leanformer.retrieve.indexes.faiss_index import FaissDescription
from leanformer.retrieve.indexes.interface import Growth

_MOST_VISITED = 4096


@technique("hnsw", paper="Malkov & Yashunin 2018, arXiv:1603.09320; Morozov & Babenko 2018")
class Hnsw(FaissDescription):
    """Walk a graph of near neighbours: the lowest latency for single queries, slow to build."""

    growth: ClassVar[Growth] = "logarithmic"
    effort_field: ClassVar[str] = "ef"
    augmenting: ClassVar[bool] = False

    links: Annotated[int, Range(at_least=2, at_most=128)] = 16
    """Links per row and layer; more links, more recall, memory and time to build."""
    ef_construction: Annotated[int, Range(at_least=1, at_most=4096)] = 100
    """Nodes that are kept in view while a row is linked."""
    ef: Annotated[int, Range(at_least=1, at_most=2**20)] = 64
    """Nodes that are kept in view during a search; saved with the index."""
    rescored: Annotated[int, Range(at_least=1, at_most=256)] = 2
    """Candidates per result that are scored exactly."""
    storage: Literal["int8", "fp32"] = "int8"
    """How rows lie in the graph: codes of 8 bits per coordinate, or as they are."""

    def make(self, faiss: Any, width: int, rows: int, metric: int) -> Any:
        """A graph over codes or vectors."""
        if self.storage == "int8":
            kind = faiss.ScalarQuantizer.QT_8bit
            made = faiss.IndexHNSWSQ(width, kind, self.links, metric)
        else:
            made = faiss.IndexHNSWFlat(width, self.links, metric)
        made.hnsw.efConstruction = self.ef_construction
        return made

    def parameters(self, faiss: Any, effort: int, selector: Any) -> Any:
        """`ef`, and the filter."""
        return faiss.SearchParametersHNSW(efSearch=effort, sel=selector)

    def proposed(self, k: int, effort: int) -> int:
        """As many candidates as are in view, at most `rescored` per result."""
        return max(k, min(k * self.rescored, effort))

    def efforts(self, rows: int) -> tuple[int, int]:
        """Up to 4096 nodes."""
        return 1, max(1, min(rows, _MOST_VISITED))

    def expected(self, width: int, rows: int) -> Expected:
        """Codes and the links of the lowest layer."""
        fourcc, each = ("IHNs", width) if self.storage == "int8" else ("IHNf", 4 * width)
        least = rows * (each + 4 * 2 * self.links)
        return Expected(fourcc=fourcc, width=width, rows=rows, least_bytes=least)
