"""The store: one writer, any number of readers, in threads and processes."""

import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leanformer.core.shown import shown
from leanformer.core.storage.files import check_free
from leanformer.core.storage.lock import locked_folder
from leanformer.retrieve.store.appending import Appending, cut
from leanformer.retrieve.store.batch import Batch, check_keys, check_records, check_vectors
from leanformer.retrieve.store.generation import Generation
from leanformer.retrieve.store.key_index import KeyIndex
from leanformer.retrieve.store.layout import SEGMENT_BYTES
from leanformer.retrieve.store.manifest import Manifest, publish, read_manifest
from leanformer.retrieve.store.snapshot import Snapshot

_TRIES = 100


class VectorStore:
    """Vectors with their keys, texts and metadata in a folder; see `leanformer.retrieve.store`.

    Made by `create` or `open`. What a method commits is on the disk when it returns, whole or not
    at all. A writer holds the folder's lock until it is closed (`close`, or a `with` block);
    readers need no lock. Threads may share a store.
    """

    def __init__(self, folder: Path, *, write: bool) -> None:
        self.folder, self._process = folder, os.getpid()
        self._lock, self._held = threading.RLock(), ExitStack()
        self._writes = write
        self._snapshot: Snapshot | None = None
        self._manifest: Manifest | None = None
        self._state: Generation | None = None
        self._keys: KeyIndex | None = None

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
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width is {shown(width)}; give the number of elements of a vector")
        if dtype not in ("float32", "float16"):
            raise ValueError(f'dtype is {shown(dtype)}; choose "float32" or "float16"')
        place = Path(folder)
        check_free(place)
        if segment_rows is None:
            segment_rows = max(1, SEGMENT_BYTES // (width * np.dtype(dtype).itemsize))
        name = secrets.token_hex(8)
        manifest = Manifest(name, width, dtype, encoder, normalized, segment_rows)
        store = cls(place, write=True)
        store._held.enter_context(locked_folder(place, "VectorStore.create"))
        publish(place, manifest)
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
        store = cls(Path(folder), write=write)
        read_manifest(store.folder)
        if write:
            store._held.enter_context(locked_folder(store.folder, "VectorStore.open"))
        try:
            store.snapshot()
            if write:
                cut(store.folder, read_manifest(store.folder))
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Let others write. Snapshots can still be read."""
        self._writes = False
        self._held.close()

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
        with self._lock:
            for attempt in range(_TRIES):
                manifest = read_manifest(self.folder)
                if manifest == self._manifest and self._snapshot is not None:
                    break
                try:
                    self._take(manifest)
                    break
                except FileNotFoundError as error:
                    newer = read_manifest(self.folder).generation != manifest.generation
                    if not newer or attempt == _TRIES - 1:
                        raise ValueError(
                            f"{error.filename} is missing, though the manifest names it; restore "
                            "the store's folder from a copy, or create it anew from its texts"
                        ) from error
            assert self._snapshot is not None
            return self._snapshot

    def _take(self, manifest: Manifest) -> None:
        """Read what `manifest` says."""
        state, keys = self._state, self._keys
        if state is None or keys is None or not self._follows(manifest):
            state = Generation(self.folder, manifest.generation)
            keys = KeyIndex(state)
        state.extend(manifest)
        self._state, self._keys = state, keys
        self._manifest, self._snapshot = manifest, Snapshot(manifest, state, keys)

    def _follows(self, manifest: Manifest) -> bool:
        """Whether `manifest` comes after what was read, in the same generation: the folder may also
        have been replaced, by another store or by an older copy."""
        former = self._manifest
        return (
            former is not None
            and (former.store, former.generation) == (manifest.store, manifest.generation)
            and former.version <= manifest.version
        )

    def add(
        self,
        keys: Sequence[str],
        vectors_ND: ArrayLike,
        records: Sequence[Mapping[str, Any]] | None = None,
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
        with self._lock:
            snapshot = self._newest()
            names = check_keys(keys)
            assert self._manifest is not None
            vectors = check_vectors(vectors_ND, len(names), self._manifest)
            texts = check_records(records, len(names))
            found = snapshot.rows_of(keys)
            for place in np.flatnonzero(found >= 0)[:1]:
                raise ValueError(
                    f"keys[{place}] is {shown(keys[place])}, which row {found[place]} has; replace "
                    "it with update, or delete it first"
                )
            rows = [(key, *parts) for key, parts in zip(names, texts, strict=True)]
            return self._commit(lambda to: to.append(Batch(vectors, rows)), bool(names))

    def _commit(
        self, write: Callable[[Appending], NDArray[np.int64]], needed: bool = True
    ) -> NDArray[np.int64]:
        """Let `write` append, and publish it; returns the rows that it gave."""
        if not needed:
            return np.empty(0, np.int64)
        before = self._manifest
        assert before is not None
        to = Appending(
            self.folder, before, before.version + 1, list(before.segments), before.deleted
        )
        try:
            rows = write(to)
            publish(self.folder, before.next(segments=tuple(to.segments), deleted=to.deleted))
        except BaseException:
            cut(self.folder, read_manifest(self.folder))
            raise
        self.snapshot()
        return rows

    def _newest(self) -> Snapshot:
        """The newest version, to be written after."""
        if not self._writes or self._process != os.getpid():
            raise ValueError(
                f"{self.folder} is open for reading here; open it with "
                "VectorStore.open(folder, write=True) in the process that writes"
            )
        return self.snapshot()
