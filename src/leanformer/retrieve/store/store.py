"""The store: one writer, any number of readers, in threads and processes."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leanformer.core.shown import shown
from leanformer.core.storage.files import check_free
from leanformer.retrieve.store.appending import Appending, cut
from leanformer.retrieve.store.batch import Batch, Records, check_keys
from leanformer.retrieve.store.changes import rows_to_delete, rows_to_write
from leanformer.retrieve.store.compaction import write_compacted
from leanformer.retrieve.store.layout import SEGMENT_BYTES
from leanformer.retrieve.store.manifest import Manifest, publish, read_manifest
from leanformer.retrieve.store.snapshot import Snapshot
from leanformer.retrieve.store.turns import entering, take_turns
from leanformer.retrieve.store.versions import Versions


class VectorStore:
    """Vectors with their keys, texts and metadata in a folder; see `leanformer.retrieve.store`.

    Made by `create` or `open`. What a method commits is on the disk when it returns, whole or not
    at all. A writer holds the folder's lock until it is closed (`close`, or a `with` block);
    readers need no lock. Threads may share a store.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.folder = folder
        self._versions, self._writer = Versions(folder), 0
        if write:
            self._turns = take_turns(folder)
            self._writer = os.getpid()

    @classmethod
    def create(
        cls,
        folder: str | Path,
        *,
        width: int,
        dtype: Literal["float32", "float16"] = "float32",
        encoder: str = "",
        normalized: bool = True,
        segment_rows: int | None = None,
    ) -> Self:
        """Make an empty store, open for writing.

        Args:
            folder: Where it will be; made where it is not there.
            width: Elements of a vector.
            dtype: Of the vectors on the disk; those that are read are float32.
            encoder: Identity of what makes the vectors, for whoever embeds a query.
            normalized: Whether every vector has length 1; others are refused.
            segment_rows: Rows per segment; None = as many as a GiB takes.

        Raises:
            FileExistsError: `folder` holds something.
            ValueError: A setting is out of its range.
        """
        for name, number in (("width", width), ("segment_rows", segment_rows)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"{name} is {shown(number)}; give a whole number of 1 or more")
        if dtype not in ("float32", "float16"):
            raise ValueError(f'dtype is {shown(dtype)}; choose "float32" or "float16"')
        place = Path(folder)
        check_free(place)
        rows = segment_rows or max(1, SEGMENT_BYTES // (width * np.dtype(dtype).itemsize))
        store = cls(place, write=True)
        try:
            publish(place, Manifest(secrets.token_hex(8), width, dtype, encoder, normalized, rows))
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, folder: str | Path, *, write: bool = False) -> Self:
        """Open a store.

        Args:
            folder: Where it is.
            write: Whether to write to it; there is one writer at a time.

        Raises:
            FileNotFoundError: There is no store.
            ValueError: It is damaged.
            FolderInUse: Somebody else writes to it.
        """
        place = Path(folder)
        read_manifest(place)
        store = cls(place, write=write)
        try:
            snapshot = store.snapshot()
            if write:
                cut(place, snapshot.manifest)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Let others write. Snapshots can still be read."""
        with entering:
            held, self._writer = self._writer == os.getpid(), 0
            if held:
                self._turns.leave()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def snapshot(self) -> Snapshot:
        """The newest version, which never changes under its reader.

        Raises:
            ValueError: A file is damaged.
        """
        return self._versions.newest()

    def verify(self) -> None:
        """Read the newest version whole and check it, as of `Snapshot.verify`."""
        self.snapshot().verify()

    def add(
        self, keys: Sequence[str], vectors_ND: ArrayLike, records: Records | None = None
    ) -> NDArray[np.int64]:
        """Append rows; they are on the disk when this returns, all of them or none.

        Args:
            keys: A text per row, which no row of the store has.
            vectors_ND: [N, D].
            records: {"text": "…", "metadata": {…}} per row, both optional; metadata are JSON
                scalars and lists of them.

        Returns:
            Row numbers [N].

        Raises:
            ValueError: A key is there already or twice, or a vector or record does not fit.
            DiskFull: There is no space; the store stays as it was.
        """
        with self._turn() as snapshot:
            batch, former = rows_to_write(snapshot, keys, vectors_ND, records)
            for place in np.flatnonzero(former >= 0)[:1]:
                raise ValueError(
                    f"keys[{place}] is {shown(keys[place])}, which row {former[place]} has; "
                    "replace it with update or upsert, or delete it first"
                )
            return self._replace(snapshot, former[:0], batch)

    def update(
        self, keys: Sequence[str], vectors_ND: ArrayLike, records: Records | None = None
    ) -> NDArray[np.int64]:
        """Replace rows in one commit: the former ones are deleted, these are appended.

        Args:
            keys: Of rows that are there.
            vectors_ND: [N, D].
            records: As of `add`; None = each key keeps its text and metadata.

        Returns:
            Row numbers [N].

        Raises:
            ValueError: A key is not there or twice, or a vector or record does not fit.
            DiskFull: There is no space; the store stays as it was.
        """
        with self._turn() as snapshot:
            batch, former = rows_to_write(snapshot, keys, vectors_ND, records)
            for place in np.flatnonzero(former < 0)[:1]:
                raise ValueError(
                    f"keys[{place}] is {shown(keys[place])}, which no row has; put it in with add "
                    "or upsert"
                )
            return self._replace(snapshot, former, batch)

    def upsert(
        self,
        keys: Sequence[str],
        vectors_ND: ArrayLike,
        records: Records | None = None,
        *,
        delete: Sequence[str] = (),
    ) -> NDArray[np.int64]:
        """Put rows in, in place of those that have their keys, and delete others, in one commit.

        A reader, and whoever opens the store after a kill, sees all of it or nothing.

        Args:
            keys: A text per row; whether a row of the store has it or not.
            vectors_ND: [N, D].
            records: As of `add`; None = keys that are there keep their text and metadata.
            delete: Further keys, whose rows are deleted; those that no row has are passed over.

        Returns:
            Row numbers [N].

        Raises:
            ValueError: A key is there twice, also as one to be deleted; or a vector or record does
                not fit.
            DiskFull: There is no space; the store stays as it was.
        """
        with self._turn() as snapshot:
            batch, former = rows_to_write(snapshot, keys, vectors_ND, records)
            buried = np.concatenate([former, rows_to_delete(snapshot, delete, keys)])
            return self._replace(snapshot, buried[buried >= 0], batch)

    def delete(self, keys: Sequence[str]) -> int:
        """Delete rows in one commit; their space is free after `compact`.

        Args:
            keys: Those that no row has are passed over.

        Returns:
            Rows that were deleted.

        Raises:
            ValueError: A key is not a text, or is there twice.
            DiskFull: There is no space; the store stays as it was.
        """
        with self._turn() as snapshot:
            check_keys(keys)
            found = snapshot.rows_of(keys)
            with self._commit(snapshot) as to:
                to.bury(found[found >= 0])
            return int((found >= 0).sum())

    def compact(self) -> None:
        """Write the rows that are alive anew, in their order, and drop those that are deleted.

        Row numbers change (`Snapshot.generation` tells). Until it ends, both generations take
        space; snapshots of the old one can be read as long as they are held.

        Raises:
            ValueError: A row is damaged; the store stays as it was.
            DiskFull: There is no space for both; the store stays as it was.
        """
        with self._turn() as snapshot, self._cutting():
            publish(self.folder, write_compacted(self.folder, snapshot))

    def _replace(
        self, snapshot: Snapshot, buried: NDArray[np.int64], batch: Batch
    ) -> NDArray[np.int64]:
        """Delete rows [n] and append others in one commit; returns the numbers of these [N]."""
        with self._commit(snapshot) as to:
            to.bury(buried)
            return to.append(batch)

    @contextmanager
    def _commit(self, snapshot: Snapshot) -> Iterator[Appending]:
        """Publish what is appended within the block, unless it is nothing."""
        former = snapshot.manifest
        to = Appending(self.folder, former, list(former.segments), former.deleted)
        with self._cutting(failed=True):
            yield to
            if to.files:
                publish(self.folder, to.settle())

    @contextmanager
    def _cutting(self, *, failed: bool = False) -> Iterator[None]:
        """Remove what is not committed after the block, or only if it has failed."""
        done = False
        try:
            yield
            done = True
        finally:
            if not done or not failed:
                with suppress(OSError, ValueError):  # what is left harms nobody
                    cut(self.folder, read_manifest(self.folder))

    @contextmanager
    def _turn(self) -> Iterator[Snapshot]:
        """One change at a time, also of two stores of one thread; gives the newest version."""
        if self._writer != os.getpid():
            raise ValueError(
                f"{self.folder} is open for reading here; open it with "
                "VectorStore.open(folder, write=True) in the process that writes"
            )
        with self._turns.lock:
            yield self.snapshot()
