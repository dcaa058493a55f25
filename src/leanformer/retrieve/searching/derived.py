"""The indexes that are derived from a store: made anew where it has changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanformer.core.ranges import Count, Share, check_number
from leanformer.core.technique import nearest
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
        elif name not in ("index", "queries_QD"):
            known = ["index", "queries_QD", *kinds]
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


def _is_due(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the index of vectors is missing, asked for otherwise, or much has changed since.

    Rows that it does not have are scored one by one, so that a few cost nothing that counts.
    """
    from leanformer.retrieve.indexes.stored import StoredIndex

    stored = StoredIndex.open(folder)
    asked = stored.about.get("asked", {})
    other = any(asked.get(name) != value for name, value in settings.items())
    return not asked or other or stored.needs_rebuild()
