"""From texts to a folder that can be searched: cut, embed, store, and derive the indexes.

    index_texts(Texts(path=Path("notes")), Path("found"), Asked(encoder="my-encoder"))

Each batch of passages is committed to the store before the next is embedded. Killed, the same call
goes on behind the last commit. Called again, it embeds what is new or was changed, deletes what is
gone, and takes over the vectors of passages that only moved. The passages of a changed document
are replaced in one commit, so that no search finds it in both states or in none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.core.storage.lock import one_at_a_time
from leanformer.retrieve.searching.adding import Adding, IndexProgress, Reports
from leanformer.retrieve.searching.asked import Agreed, Asked, agree
from leanformer.retrieve.searching.bm25 import import_bm25s
from leanformer.retrieve.searching.derived import check_settings, derive
from leanformer.retrieve.searching.description import NAME, STORE
from leanformer.retrieve.searching.texts.documents import Texts
from leanformer.retrieve.searching.texts.survey import Material, look
from leanformer.retrieve.store import VectorStore


@dataclass(frozen=True)
class Indexed:
    """What an indexing did.

    Attributes:
        documents: Documents that were read.
        passages: Passages that can be searched now.
        added: Passages that were stored.
        embedded: Texts of these that the encoder read; equal texts of a batch count once, and the
            vectors of those that were known before are taken over.
        deleted: Passages that were there before and are gone.
        unreadable: Reasons why documents could not be read, one each.
    """

    documents: int
    passages: int
    added: int
    embedded: int
    deleted: int
    unreadable: tuple[str, ...]


@one_at_a_time("out")
def index_texts(
    texts: Texts,
    out: Path,
    asked: Asked | None = None,
    *,
    skip_errors: bool = False,
    threads: int | None = None,
    watch: Callable[[IndexProgress], None] | None = None,
    command: str = "",
    **index: Any,
) -> Indexed:
    """Make texts searchable in a folder, or bring such a folder up to date.

    Args:
        texts: Where the texts are.
        out: The folder.
        asked: How they are indexed.
        skip_errors: Leave documents out that cannot be read; their passages of a former call stay,
            but for rows of a table whose id cannot be read either.
        threads: Threads that embed; None = all cores.
        watch: Called with the progress.
        command: What a second process is told that works on the folder meanwhile.
        **index: Settings of `leanformer.retrieve.indexes.build_index`.

    Raises:
        OSError: The texts or the encoder are not there.
        FolderInUse: Another process works on the folder.
        ValueError: A document cannot be read (all of them are named, before anything is changed),
            or what is asked for differs from what the folder was made of.
        ImportError: bm25s or faiss is not installed; the message names the command.
    """
    check_settings(index)
    whole = max(1, texts.bytes(leave_out=out))
    agreed = agree(out, asked or Asked(), threads)
    if agreed.description.bm25:
        import_bm25s()
    material = Material(texts, out, agreed.description.cutting, agreed.count)
    report = Reports(watch)
    present = _present(out)
    found = look(material, present, lambda done: report("reading", min(1, done / whole), 0, None))
    if not skip_errors:
        found.refuse_unreadable()
    if not (out / NAME).exists():
        agreed.description.write(out)
    with _writing(out, agreed) as store:
        adding = Adding(store, agreed.encoder, report, new=found.new, characters=found.characters)
        adding.all(material, present, found.gone)
        report("indexing", 0.0, adding.added, None)
        derive(out, agreed.description, store, threads, **index)
        report("indexing", 1.0, adding.added, 0.0, now=True)
        passages = len(store.snapshot())
    reasons = tuple(one.reason for one in found.unreadable)
    counts = (adding.added, adding.embedded, adding.deleted)
    return Indexed(found.documents, passages, *counts, reasons)


def _present(out: Path) -> dict[str, int]:
    """The row of each key that the store has; none where there is no store yet."""
    try:
        snapshot = VectorStore.open(out / STORE).snapshot()
    except FileNotFoundError:
        return {}
    rows = np.flatnonzero(snapshot.alive())
    return dict(zip(snapshot.keys(rows), rows.tolist(), strict=True))


@contextmanager
def _writing(out: Path, agreed: Agreed) -> Iterator[VectorStore]:
    """The store, open for writing; made where there is none."""
    try:
        store = VectorStore.open(out / STORE, write=True)
    except FileNotFoundError:
        encoder = agreed.encoder
        # A store holds records by vectors; without an encoder each vector is the number 1.
        store = VectorStore.create(
            out / STORE,
            width=1 if encoder is None else encoder.width,
            encoder=agreed.description.identity,
            normalized=encoder is None or not encoder.lengths_count,
        )
    with store:
        yield store
