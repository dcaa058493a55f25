"""Passages on their way into the store: embedded and committed batch by batch."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.embed import Encoder
from leanformer.retrieve.searching.texts.documents import Document
from leanformer.retrieve.searching.texts.keys import Keyed, digest_of_text, text_digest_in
from leanformer.retrieve.searching.texts.survey import Material
from leanformer.retrieve.store import Snapshot, VectorStore

_BATCH, _BATCH_OF_TEXTS = 256, 4096  # passages per commit: with an encoder, and without
_SAID = 0.5  # seconds between two reports
_TINY = np.float32(1e-12)


@dataclass(frozen=True)
class IndexProgress:
    """How far an indexing is.

    Attributes:
        what: "reading", "embedding" ("storing" without an encoder) or "indexing".
        share: Share of that which is done.
        passages: Passages that were stored so far.
        left: Seconds until all passages are stored, at this pace; None where that is not known.
    """

    what: str
    share: float
    passages: int
    left: float | None


class Reports:
    """Passes progress on: at once where something new begins, otherwise not too often."""

    def __init__(self, watch: Callable[[IndexProgress], None] | None) -> None:
        self.watch, self._said, self._what = watch, 0.0, ""

    def __call__(
        self, what: str, share: float, passages: int, left: float | None, *, now: bool = False
    ) -> None:
        """Report, if it is time to."""
        clock = time.monotonic()
        due = now or what != self._what or clock - self._said >= _SAID
        if self.watch is not None and due:
            self._said, self._what = clock, what
            self.watch(IndexProgress(what, share, passages, left))


@dataclass
class _Commit:
    """What one commit changes: the passages that it adds, and the keys that it deletes."""

    new: list[Keyed] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Adding:
    """Stores the passages that are new, and deletes those that they replace.

    Attributes:
        added: Passages that were stored.
        embedded: Texts that the encoder read.
        deleted: Passages that were deleted.
    """

    def __init__(
        self,
        store: VectorStore,
        encoder: Encoder | None,
        report: Reports,
        *,
        new: int,
        characters: int,
    ) -> None:
        """Prepare to add `new` passages of so many characters."""
        self.store, self.encoder, self.report = store, encoder, report
        self.new, self.characters = new, max(1, characters)
        self.added = self.embedded = self.deleted = self._done = 0
        self._began = time.monotonic()

    def all(
        self,
        material: Material,
        present: Mapping[str, int],
        gone: Mapping[str, Sequence[str]],
    ) -> None:
        """Embed and commit every passage whose key is not present, and delete what is gone.

        Args:
            material: The texts.
            present: The row of each key that the store has.
            gone: Of each document, the keys that are to be deleted: in the commit that has its new
                passages, or in the last one where the document itself is gone.
        """
        known = {text_digest_in(key): row for key, row in present.items()}
        before = self.store.snapshot()
        changes = _changes(material, present, gone)
        for commit in _commits(changes, _BATCH_OF_TEXTS if self.encoder is None else _BATCH):
            vectors_ND = self._vectors([one.text for one in commit.new], known, before)
            self.store.upsert(
                [one.key for one in commit.new],
                vectors_ND,
                [one.record for one in commit.new],
                delete=commit.gone,
            )
            self.deleted += len(commit.gone)
            if commit.new:
                self._tell(commit.new)

    def _vectors(
        self, texts: list[str], known: dict[str, int], before: Snapshot
    ) -> NDArray[np.float32]:
        """The vectors of texts: those that the store has, and the encoder's for the others."""
        if self.encoder is None:
            return np.ones((len(texts), 1), np.float32)
        if not texts:
            return before.vectors([])
        rows = {text: known.get(digest_of_text(text), -1) for text in dict.fromkeys(texts)}
        old = [text for text, row in rows.items() if row >= 0]
        fresh = [text for text, row in rows.items() if row < 0]
        vectors_ND = [before.vectors([rows[text] for text in old])]
        if fresh:
            made_ND = self.encoder.encode(fresh, prompt=self.encoder.prompt_for("document"))
            vectors_ND.append(unit(made_ND) if before.normalized else made_ND)
            self.embedded += len(fresh)
        found = dict(zip([*old, *fresh], np.concatenate(vectors_ND), strict=True))
        return np.stack([found[text] for text in texts])

    def _tell(self, batch: list[Keyed]) -> None:
        self.added += len(batch)
        self._done += sum(len(one.text) for one in batch)
        pace = (time.monotonic() - self._began) / self._done
        left = pace * max(0, self.characters - self._done)
        what = "storing" if self.encoder is None else "embedding"
        share = min(1.0, self._done / self.characters)
        self.report(what, share, self.added, left, now=self.added >= self.new)


def unit(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors, each divided by its length."""
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return vectors_ND / np.maximum(lengths_N1, _TINY)


def _changes(
    material: Material, present: Mapping[str, int], gone: Mapping[str, Sequence[str]]
) -> Iterator[_Commit]:
    """What is new and what is gone of each document; last, what is gone with its document."""
    left = dict(gone)
    for document in material.documents():
        if isinstance(document, Document):
            new = [one for one in material.passages(document) if one.key not in present]
            yield _Commit(new, list(left.pop(document.name, ())))
    yield _Commit(gone=[key for keys in left.values() for key in keys])


def _commits(changes: Iterable[_Commit], size: int) -> Iterator[_Commit]:
    """Commits of so many new passages. A document that replaces passages is never split, so that
    its commit may have more; new documents are."""
    waiting = _Commit()
    for change in changes:
        if change.gone and waiting.new and len(waiting.new) + len(change.new) > size:
            yield waiting
            waiting = _Commit()
        waiting.new += change.new
        waiting.gone += change.gone
        while len(waiting.new) >= size:
            end = len(waiting.new) if change.gone else size
            yield _Commit(waiting.new[:end], waiting.gone)
            waiting = _Commit(waiting.new[end:])
    if waiting.new or waiting.gone:
        yield waiting
