"""Indexes: the rows with the largest inner products, in less than linear time.

    score(q, x) = q · x        exact: all N rows        IVF: about √N        HNSW: about log N

Every index is described by a frozen technique and built of vectors; its results carry exact scores.
Measure its recall before you rely on it, or let `advise` choose.
"""

from leanformer.retrieve.indexes.advice import Advice, advise, measure_recall
from leanformer.retrieve.indexes.augmentation import augment, augment_queries
from leanformer.retrieve.indexes.binary import Binary
from leanformer.retrieve.indexes.building import build_index
from leanformer.retrieve.indexes.exact import Exact, exact_search
from leanformer.retrieve.indexes.hnsw import Hnsw
from leanformer.retrieve.indexes.int8_codes import Int8Codes
from leanformer.retrieve.indexes.interface import BuiltIndex, Index
from leanformer.retrieve.indexes.ivf import Ivf
from leanformer.retrieve.indexes.ivf_pq import IvfPq
from leanformer.retrieve.indexes.ivf_rabitq import IvfRabitq
from leanformer.retrieve.indexes.saving import open_index
from leanformer.retrieve.indexes.scalar import Scalar
from leanformer.retrieve.indexes.selection import Selection
from leanformer.retrieve.indexes.stored import StoredIndex

__all__ = [
    "Advice",
    "Binary",
    "BuiltIndex",
    "Exact",
    "Hnsw",
    "Index",
    "Int8Codes",
    "Ivf",
    "IvfPq",
    "IvfRabitq",
    "Scalar",
    "Selection",
    "StoredIndex",
    "advise",
    "augment",
    "augment_queries",
    "build_index",
    "exact_search",
    "measure_recall",
    "open_index",
]
