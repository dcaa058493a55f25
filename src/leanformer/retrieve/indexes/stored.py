"""Search a store: its index over the rows it was built of, and every row appended since.

    results = best k of  index(rows at its building)  and  exact(rows appended since)

Both give exact inner products, so that they are merged by score. A search sees one version of the
store from beginning to end; deleted rows, and those that a filter leaves out, are never returned. A
missing, damaged or outdated index costs time and nothing else: all rows are scored, and the log
says why.

Legend: Q query, K result, R row of the store, N row of the index.
"""

import copy
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.codec import decode
from leanformer.core.ranges import Count, Share, check_number
from leanformer.measure.interleave import Tell, silent
from leanformer.retrieve.indexes.advice.advise import SMALL
from leanformer.retrieve.indexes.building import NAME, Derived, build_index, load_derived
from leanformer.retrieve.indexes.exact_scores import Scored, among, merge, nothing, score_blocks
from leanformer.retrieve.indexes.interface import Index, checked_queries, checked_threads
from leanformer.retrieve.indexes.saving import ABOUT
from leanformer.retrieve.indexes.selection import Selection
from leanformer.retrieve.store import Snapshot, VectorStore

_log = logging.getLogger(__name__)

Block = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows of the store [B] and their vectors [B, D]."""
_TRIES = 5  # to read an index that somebody replaces meanwhile
_FEW = 20_000  # rows left by a filter up to which all of them are scored


@dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """What one search sees.

    Attributes:
        snapshot: The version.
        derived: The index; None = there is none that applies.
        written: When and as which file the index was written, to notice another one.
        blocks: Rows that the index does not have.
    """

    snapshot: Snapshot
    derived: Derived | None
    written: tuple[int, int] | None
    blocks: tuple[Block, ...]
    alive_R: NDArray[np.bool_]
    indexed: Selection | None

    def search(self, queries_QD: NDArray[np.float32], k: int, where: Any) -> Scored:
        """The `k` best rows that are alive and fit the filter."""
        mask_R = self.snapshot.matching(where) if where else self.alive_R
        if where and (count := int(mask_R.sum())) <= _FEW:
            rows = np.flatnonzero(mask_R)
            found = among(queries_QD, rows, self.snapshot.vectors, k)
            return found if count else nothing(len(queries_QD), k)
        parts = [score_blocks(queries_QD, self.blocks, k, mask_R)]
        if self.derived is not None and self.derived.index is not None:
            rows_N = self.derived.rows_N
            allowed = Selection(mask_R[rows_N]) if where else self.indexed
            scores, found_N = self.derived.index.search(queries_QD, k, allowed=allowed)
            parts.append((scores, np.where(found_N < 0, -1, rows_N[found_N])))
        return merge(parts, k)

    def appended(self, snapshot: Snapshot) -> "_State":
        """This state with a later version of the same generation."""
        alive_R = snapshot.alive()
        new = self.snapshot.rows + np.flatnonzero(alive_R[self.snapshot.rows :])
        blocks = _with(self.blocks, (new, snapshot.vectors(new))) if len(new) else self.blocks
        changed = replace(self, snapshot=snapshot, blocks=blocks, alive_R=alive_R)
        return replace(changed, indexed=_alive(self.derived, alive_R))


class StoredIndex:
    """A store that is searched; make one by `open`. Any number of threads may search it at once."""

    def __init__(self, folder: Path, store: VectorStore, threads: int | None) -> None:
        self.folder = folder
        self._store, self._threads = store, threads
        self._lock = threading.Lock()
        self._state = self._loaded()

    @classmethod
    def open(cls, folder: str | Path, *, threads: int | None = None) -> "StoredIndex":
        """Open the newest version of a store, with its index if there is one.

        Args:
            folder: The store's folder.
            threads: Threads that search; None = all cores.

        Raises:
            FileNotFoundError: There is no store.
            ValueError: The store is damaged.
        """
        place = Path(folder)
        return cls(place, VectorStore.open(place), checked_threads(threads))

    @property
    def snapshot(self) -> Snapshot:
        """The version that is searched."""
        return self._state.snapshot

    @property
    def about(self) -> dict[str, Any]:
        """What `index.json` says of the index in use; nothing where every row is scored for want of
        one."""
        derived = self._state.derived
        return {} if derived is None else derived.about

    @property
    def outdated(self) -> bool:
        """Whether another index was written since; costs a glance at a file."""
        return self._written() != self._state.written

    @property
    def unindexed(self) -> int:
        """Rows that every search scores one by one."""
        return sum(len(rows) for rows, _ in self._state.blocks)

    def search(
        self,
        queries_QD: NDArray[np.floating],
        k: int,
        *,
        where: Mapping[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], Snapshot]:
        """The `k` rows with the largest inner products with each query.

        Args:
            queries_QD: Finite numbers, [Q, D].
            k: Results per query.
            where: Metadata that rows must have, as of `Snapshot.matching`; None = all rows.

        Returns:
            Scores [Q, K] and rows of the store [Q, K], best first, -inf and -1 where there are
            fewer; and the snapshot whose rows they are.

        Raises:
            ValueError: A query is not of this width or not finite, `k` is not at least 1, or
                `where` cannot be read.
        """
        state = self._state  # one version from here on, whatever other threads refresh
        queries_QD = checked_queries(queries_QD, state.snapshot.width)
        check_number(Count, k, "k")
        return *state.search(queries_QD, k, where), state.snapshot

    def refresh(self) -> Snapshot:
        """Go over to the newest version, and to the newest index.

        Raises:
            ValueError: The store is damaged.
        """
        with self._lock:
            state, snapshot = self._state, self._store.snapshot()
            if not _follows(snapshot, state.snapshot) or self.outdated:
                self._state = self._loaded()
            elif snapshot.version != state.snapshot.version:
                self._state = state.appended(snapshot)
            return self._state.snapshot

    def refreshed(self) -> "StoredIndex":
        """The same in the newest version, with the newest index; this one stays in its own.

        Raises:
            ValueError: The store is damaged.
        """
        other = copy.copy(self)
        other._lock = threading.Lock()
        other.refresh()
        return other

    def needs_rebuild(self, share: float = 0.2) -> bool:
        """Whether the index is missing, or much has changed since it was built.

        Args:
            share: Rows appended and deleted since, over the rows that it was built of.

        Raises:
            ValueError: `share` is not a share.
        """
        check_number(Share, share, "share")
        state = self._state
        if state.derived is None:
            return len(state.snapshot) >= SMALL
        built = int(state.derived.about["rows"])
        if state.derived.index is None:
            return len(state.snapshot) >= SMALL and len(state.snapshot) > (1 + share) * built
        deleted = 0 if state.indexed is None else built - state.indexed.count
        return self.unindexed + deleted > share * built

    def rebuild(self, *, tell: Tell = silent) -> None:
        """Build the index anew as it was asked for the last time, and go over to it.

        Raises:
            ValueError: The store is damaged.
            ImportError: `faiss` is missing and is needed.
        """
        asked = dict(self.about.get("asked", {}))
        index = asked.pop("index", None)
        described = None if index is None else decode(Index, index, "asked.index")
        build_index(self.folder, described, **asked, threads=self._threads, tell=tell)
        self.refresh()

    def _loaded(self) -> _State:
        """The state of the newest version and the index that lies beside it."""
        derived = None
        for _ in range(_TRIES):
            written = self._written()
            try:
                derived, snapshot = load_derived(self._store, self.folder / NAME, self._threads)
                break
            except (ValueError, OSError, ImportError) as error:
                if self._written() != written:
                    continue  # replaced while it was read
                snapshot = self._store.snapshot()
                if written is not None or len(snapshot) >= SMALL:
                    _log.warning("%s; until then every row is scored", error)
                break
        else:
            snapshot = self._store.snapshot()
        alive_R = snapshot.alive()
        missing_R = alive_R.copy()
        if derived is not None:
            missing_R[derived.rows_N] = False
        rows = np.flatnonzero(missing_R)
        return _State(
            snapshot=snapshot,
            derived=derived,
            written=written,
            blocks=((rows, snapshot.vectors(rows)),) if len(rows) else (),
            alive_R=alive_R,
            indexed=_alive(derived, alive_R),
        )

    def _written(self) -> tuple[int, int] | None:
        """What tells one written index from another."""
        try:
            found = (self.folder / NAME / ABOUT).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


def _follows(snapshot: Snapshot, former: Snapshot) -> bool:
    """Whether rows of `former` have the same numbers in `snapshot`: it is a later version of the
    same store, not another store or an older copy that was put in its place."""
    same = (snapshot.store, snapshot.generation) == (former.store, former.generation)
    return same and snapshot.version >= former.version


def _alive(derived: Derived | None, alive_R: NDArray[np.bool_]) -> Selection | None:
    """Rows of the index that are alive."""
    if derived is None or derived.index is None:
        return None
    return Selection(alive_R[derived.rows_N])


def _with(blocks: tuple[Block, ...], new: Block) -> tuple[Block, ...]:
    """Blocks with one more; small ones at the end are joined, so that there are few of them."""
    while blocks and len(blocks[-1][0]) <= 2 * len(new[0]):
        *first, (rows, vectors) = blocks
        new = np.concatenate([rows, new[0]]), np.concatenate([vectors, new[1]])
        blocks = tuple(first)
    return (*blocks, new)
