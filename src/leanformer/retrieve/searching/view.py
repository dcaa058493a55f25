"""One version of a searched folder: its snapshot, its index of terms and that of vectors."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.searching.bm25 import LaterTexts
from leanformer.retrieve.searching.description import BM25, STORE
from leanformer.retrieve.searching.hit import Hit
from leanformer.retrieve.searching.stored_bm25 import ABOUT, StoredBm25
from leanformer.retrieve.store import Snapshot, VectorStore
from leanformer.retrieve.store.layout import MANIFEST

if TYPE_CHECKING:
    from leanformer.retrieve.indexes.stored import StoredIndex

_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None
"""Inode, time and size of a file that is only ever replaced whole; None = there is none."""


@dataclass(frozen=True)
class Found:
    """A passage that one part, or a fusion of several, found.

    Attributes:
        key: Its key, which is the same in every snapshot.
        row: Its row in `snapshot`.
        snapshot: Where the row is read.
        score: What it is ordered by.
        scores: By the name of the part.
    """

    key: str
    row: int
    snapshot: Snapshot
    score: float
    scores: dict[str, float] = field(default_factory=dict)

    def beside(self, other: "Found | None") -> "Found":
        """The same, with the scores of another part that found it too."""
        return self if other is None else replace(self, scores=other.scores | self.scores)

    def scored(self, name: str, score: float) -> "Found":
        """The same, ordered by another score."""
        return replace(self, score=score, scores=self.scores | {name: score})

    def hit(self) -> Hit:
        """What is answered."""
        record = self.snapshot.records([self.row])[0]
        return Hit(self.key, self.score, record["text"], record["metadata"], self.scores)


@dataclass(frozen=True)
class View:
    """A version of a folder, which does not change while it is searched.

    Attributes:
        folder: The folder.
        store: Its store, open for reading.
        snapshot: Of the store.
        terms: The index of terms; None where it is not searched.
        later: Texts of the snapshot that are not in that index.
        vectors: The index of vectors; None where it is not searched.
        written: The store's manifest and the description of `terms`, as they were before it was
            read.
    """

    folder: Path
    store: VectorStore
    snapshot: Snapshot
    terms: StoredBm25 | None
    later: LaterTexts
    vectors: "StoredIndex | None"
    written: tuple[Stamp, ...]

    @classmethod
    def open(cls, folder: Path, *, dense: bool, bm25: bool, threads: int | None = None) -> "View":
        """The newest version.

        Raises:
            ValueError: The folder is damaged, or its indexing has not ended.
        """
        written = _written(folder)
        try:
            store = VectorStore.open(folder / STORE)
            terms = StoredBm25.open(folder / BM25) if bm25 else None
            vectors = _vectors(folder, threads) if dense else None
        except FileNotFoundError as error:
            raise ValueError(
                f"{folder}: {Path(error.filename or folder).name} is missing, since indexing has "
                "not ended; run the same leanformer index again, which goes on"
            ) from error
        return cls._of(folder, store, terms, vectors, written)

    @property
    def outdated(self) -> bool:
        """Whether something was committed or derived since; costs a glance at three files."""
        derived = self.vectors is not None and self.vectors.outdated
        return derived or _written(self.folder) != self.written

    def newest(self) -> "View":
        """The newest version now; this one stays as it is.

        Raises:
            OSError: A file is missing.
            ValueError: The folder is damaged.
        """
        written, terms = _written(self.folder), self.terms
        if terms is not None and written[1] != self.written[1]:  # gigabytes, of many texts
            terms = StoredBm25.open(self.folder / BM25)
        vectors = None if self.vectors is None else self.vectors.refreshed()
        return self._of(self.folder, self.store, terms, vectors, written)

    @classmethod
    def _of(
        cls,
        folder: Path,
        store: VectorStore,
        terms: StoredBm25 | None,
        vectors: "StoredIndex | None",
        written: tuple[Stamp, ...],
    ) -> "View":
        if terms is None:
            snapshot = store.snapshot() if vectors is None else vectors.snapshot
            return cls(folder, store, snapshot, None, LaterTexts(()), vectors, written)
        # After the index of terms was read, so that it is not older than that.
        snapshot = store.snapshot() if vectors is None else vectors.refresh()
        if not terms.applies_to(snapshot):
            _log.info("%s: the store was written anew; its terms are indexed in memory", folder)
            terms = StoredBm25.build(snapshot)
        return cls(folder, store, snapshot, terms, terms.later(snapshot), vectors, written)

    def by_terms(
        self, questions: list[str], depth: int, where: Mapping[str, Any] | None
    ) -> list[list[Found]]:
        """The passages that share terms with each question, the best first."""
        assert self.terms is not None
        snapshot = self.snapshot
        allowed_R = snapshot.matching(where) if where else snapshot.alive()
        answers = [
            self.terms.search(question, depth, allowed_R, self.later) for question in questions
        ]
        return [_named("bm25", snapshot, *answer) for answer in answers]

    def by_vectors(
        self, queries_QD: NDArray[np.float32], depth: int, where: Mapping[str, Any] | None
    ) -> list[list[Found]]:
        """The passages whose vectors have the largest inner products with each question's."""
        assert self.vectors is not None
        scores_QK, rows_QK, snapshot = self.vectors.search(queries_QD, depth, where=where)
        return [
            _named("dense", snapshot, scores_K, rows_K)
            for scores_K, rows_K in zip(scores_QK, rows_QK, strict=True)
        ]


def _written(folder: Path) -> tuple[Stamp, ...]:
    """The manifest of the store, and the description of the index of terms."""
    return _stamp(folder / STORE / MANIFEST), _stamp(folder / BM25 / ABOUT)


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _vectors(folder: Path, threads: int | None) -> "StoredIndex":
    from leanformer.retrieve.indexes.stored import StoredIndex

    return StoredIndex.open(folder / STORE, threads=threads)


def _named(
    part: str, snapshot: Snapshot, scores_K: NDArray[np.float32], rows_K: NDArray[np.int64]
) -> list[Found]:
    there = rows_K >= 0
    rows, scores = rows_K[there].tolist(), scores_K[there].tolist()
    keys = snapshot.keys(np.asarray(rows, np.int64))
    return [
        Found(key, row, snapshot, score, {part: score})
        for key, row, score in zip(keys, rows, scores, strict=True)
    ]
