"""A crash-safe store of vectors with their keys, texts and metadata: the truth indexes derive from.

    store = VectorStore.create("store", width=384)
    store.add(["a", "b"], vectors, [{"text": "…", "metadata": {"year": 1962}}, …])   # durable
    snapshot = store.snapshot()                                  # never changes under its reader
    snapshot.vectors(snapshot.rows_of(["b"]))

How it is laid out on the disk, and why a kill loses nothing: `leanformer.retrieve.store.layout`.
"""

from leanformer.retrieve.store.snapshot import Snapshot
from leanformer.retrieve.store.store import VectorStore

__all__ = ["Snapshot", "VectorStore"]
