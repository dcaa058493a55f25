"""The indexes that are derived from a store: made anew where it has changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanformer.retrieve.searching.description import BM25, STORE, Description
from leanformer.retrieve.searching.stored_bm25 import StoredBm25
from leanformer.retrieve.store import Snapshot, VectorStore

_COMPACTED, _FEW = 0.5, 1000
"""A store of more rows than `_FEW` is written anew where this share of them is deleted."""


def derive(
    out: Path, description: Description, store: VectorStore, threads: int | None, **index: Any
) -> None:
    """Write the index of terms and that of vectors, as far as the folder has them.

    Args:
        out: The folder.
        description: What it has.
        store: Its store, open for writing.
        threads: Threads that build; None = all cores.
        **index: Settings of `leanformer.retrieve.indexes.build_index`.
    """
    snapshot = store.snapshot()
    if snapshot.rows > _FEW and len(snapshot) < (1 - _COMPACTED) * snapshot.rows:
        store.compact()
        snapshot = store.snapshot()
    if description.bm25 and not _is_current(out / BM25, snapshot):
        StoredBm25.build(snapshot).save(out / BM25)
    if description.dense and len(snapshot) and _is_due(out / STORE, index):
        from leanformer.retrieve.indexes.building import build_index

        build_index(out / STORE, threads=threads, **index)


def _is_current(folder: Path, snapshot: Snapshot) -> bool:
    """Whether the index of terms is of this version and whole."""
    try:
        made = StoredBm25.open(folder)
    except (OSError, ValueError):
        return False
    return made.applies_to(snapshot) and made.version == snapshot.version


def _is_due(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the index of vectors is missing, asked for otherwise, or much has changed since.

    Rows that it does not have are scored one by one, so that a few cost nothing that counts.
    """
    from leanformer.retrieve.indexes.stored import StoredIndex

    stored = StoredIndex.open(folder)
    asked = stored.about.get("asked", {})
    other = any(asked.get(name) != value for name, value in settings.items())
    return not asked or other or stored.needs_rebuild()
