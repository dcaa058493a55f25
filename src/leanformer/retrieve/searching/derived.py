"""The indexes that are derived from a store: made anew where it has changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanformer.core.codec import decode, encode
from leanformer.core.ranges import Count, Share, check_number
from leanformer.core.technique import nearest
from leanformer.retrieve.searching.description import BM25, STORE, Description
from leanformer.retrieve.searching.stored_bm25 import StoredBm25
from leanformer.retrieve.store import Snapshot, VectorStore

_SETTINGS, _QUERIES = ("index", "target_recall", "k", "prefer"), "queries_QD"
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
        **index: Settings of `leanformer.retrieve.indexes.build_index`; those that are left out are
            those of the index that is there.
    """
    snapshot = store.snapshot()
    if snapshot.rows > _FEW and len(snapshot) < (1 - _COMPACTED) * snapshot.rows:
        store.compact()
        snapshot = store.snapshot()
    if description.bm25 and not _is_current(out / BM25, snapshot):
        StoredBm25.build(snapshot).save(out / BM25)
    if description.dense and len(snapshot):
        _derive_vectors(out / STORE, threads, index)


def _derive_vectors(folder: Path, threads: int | None, settings: Mapping[str, Any]) -> None:
    """Build the index of vectors where it is missing, asked for otherwise, or much has changed.

    Rows that it does not have are scored one by one, so that a few cost nothing that counts.
    """
    from leanformer.retrieve.indexes.building import build_index
    from leanformer.retrieve.indexes.interface import Index
    from leanformer.retrieve.indexes.stored import StoredIndex

    stored = StoredIndex.open(folder)
    asked = stored.about.get("asked", {})
    kept = {name: asked[name] for name in _SETTINGS if name in asked}
    given = {name: encode(value) for name, value in settings.items() if name != _QUERIES}
    other = any(kept.get(name) != value for name, value in given.items())
    if kept and not other and not stored.needs_rebuild():
        return
    if kept.get("index") is not None:
        kept["index"] = decode(Index, kept["index"], f"{folder}: asked.index")
    build_index(folder, threads=threads, **(kept | dict(settings)))


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of an index before hours of embedding, not after them.

    Raises:
        ValueError: A setting is not one, or out of its range.
    """
    from leanformer.retrieve.indexes.advice.advise import Preference

    kinds: dict[str, Any] = {"target_recall": Share, "k": Count, "prefer": Preference}
    for name, value in settings.items():
        if name in kinds:
            check_number(kinds[name], value, name)
        elif name not in ("index", _QUERIES):
            known = [*_SETTINGS, _QUERIES]
            raise ValueError(
                f"{name!r} is not a setting of an index{nearest(name, known)}; there are: "
                f"{', '.join(known)}"
            )


def _is_current(folder: Path, snapshot: Snapshot) -> bool:
    """Whether the index of terms is of this version and whole."""
    try:
        made = StoredBm25.open(folder)
    except (OSError, ValueError):
        return False
    return made.applies_to(snapshot) and made.version == snapshot.version
