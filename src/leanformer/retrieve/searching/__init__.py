"""Search texts: cut into passages, indexed by terms and vectors, found, fused, ordered anew.

index_texts(Texts(path=Path("notes")), Path("found"), Asked(encoder="my-encoder"))
Searcher.open("found").search(["who pays for the parcel?"])
"""

from leanformer.retrieve.searching.adding import IndexProgress
from leanformer.retrieve.searching.asked import Asked
from leanformer.retrieve.searching.fusion import Fusion
from leanformer.retrieve.searching.hit import Hit
from leanformer.retrieve.searching.indexing import Indexed, index_texts
from leanformer.retrieve.searching.reciprocal_rank_fusion import ReciprocalRankFusion
from leanformer.retrieve.searching.reranking import Reranker, open_reranker
from leanformer.retrieve.searching.searcher import Searcher
from leanformer.retrieve.searching.texts.documents import Texts
from leanformer.retrieve.searching.texts.passages import Cutting, Passage

__all__ = [
    "Asked",
    "Cutting",
    "Fusion",
    "Hit",
    "IndexProgress",
    "Indexed",
    "Passage",
    "ReciprocalRankFusion",
    "Reranker",
    "Searcher",
    "Texts",
    "index_texts",
    "open_reranker",
]
