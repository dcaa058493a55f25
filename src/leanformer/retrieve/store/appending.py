"""Append to the files of a generation, and cut off what was not committed."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.storage.disk import make_durable, naming_disk, write_all
from leanformer.retrieve.store.batch import Batch
from leanformer.retrieve.store.layout import (
    BLOCK_BYTES,
    GONE,
    ROWS,
    encode_block,
    key_hash,
    segment_file,
)
from leanformer.retrieve.store.manifest import Extent, Manifest

_NAME = re.compile(r"\d{5,}-\d{5,}\.(vectors|journal)", re.ASCII)


@dataclass
class Appending:
    """Appends to the segments of a generation; nothing is committed by that.

    Attributes:
        folder: The store.
        manifest: What is committed.
        segments: How far each segment is written.
        deleted: Tombstones so far.
        files: What was written to and is perhaps not on the disk yet.
        made: Whether there are new files.
    """

    folder: Path
    manifest: Manifest
    segments: list[Extent] = field(default_factory=list)
    deleted: int = 0
    files: dict[Path, None] = field(default_factory=dict)
    made: bool = False

    def append(self, batch: Batch) -> NDArray[np.int64]:
        """Write rows; returns their numbers [N]."""
        first, begin = self._rows(), 0
        while begin < len(batch.texts):
            if not self.segments or self.segments[-1].rows >= self.manifest.segment_rows:
                self.segments.append(Extent(0, 0))
                self.made = True
            room = self.manifest.segment_rows - self.segments[-1].rows
            end = begin + room
            self._append(Batch(batch.vectors[begin:end], batch.texts[begin:end]))
            begin = end
        return np.arange(first, self._rows())

    def bury(self, rows: NDArray[np.int64]) -> None:
        """Write tombstones of rows [n]."""
        if len(rows):
            index, version = rows.astype("<u8").tobytes(), self.manifest.version + 1
            block = encode_block(GONE, len(rows), self._rows(), version, index)
            last = self.segments[-1]
            self._write("journal", last.bytes, [block])
            self.segments[-1] = Extent(last.rows, last.bytes + len(block))
            self.deleted += len(rows)

    def settle(self) -> Manifest:
        """Bring everything to the disk; returns the manifest that commits it."""
        with naming_disk(self.folder):
            make_durable(*self.files, *([self.folder] if self.made else []))
        return self.manifest.next(segments=tuple(self.segments), deleted=self.deleted)

    def _rows(self) -> int:
        return sum(segment.rows for segment in self.segments)

    def _append(self, batch: Batch) -> None:
        """Write rows into the last segment, which has room for them."""
        last, vectors = self.segments[-1], np.ascontiguousarray(batch.vectors)
        blocks = list(_blocks(vectors, batch.texts, self._rows(), self.manifest.version + 1))
        offset = last.rows * self.manifest.row_bytes
        self._write("vectors", offset, [vectors.data.cast("B")])
        self._write("journal", last.bytes, blocks)
        self.segments[-1] = Extent(
            last.rows + len(vectors), last.bytes + sum(len(block) for block in blocks)
        )

    def _write(self, kind: str, offset: int, parts: Sequence[bytes | memoryview]) -> None:
        """Write at a byte of a file of the last segment."""
        number = len(self.segments) - 1
        file = segment_file(self.folder, self.manifest.generation, number, kind)
        self.files[file] = None
        with naming_disk(file, sum(len(part) for part in parts)):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.lseek(handle, offset, os.SEEK_SET)
                for part in parts:
                    write_all(handle, part)
            finally:
                os.close(handle)


def _blocks(
    vectors_ND: NDArray[Any], texts: Sequence[tuple[bytes, ...]], first_row: int, version: int
) -> Iterator[bytes]:
    """The blocks of the journal for these rows."""
    size = max(1, BLOCK_BYTES // vectors_ND[0].nbytes)
    for begin in range(0, len(texts), size):
        rows, vectors = texts[begin : begin + size], vectors_ND[begin : begin + size]
        index = np.empty((len(rows), 4), "<u8")
        index[:, 0] = [key_hash(key) for key, _, _ in rows]
        index[:, 1:] = np.cumsum([len(part) for row in rows for part in row]).reshape(-1, 3)
        joined = b"".join(part for row in rows for part in row)
        yield encode_block(
            ROWS, len(rows), first_row + begin, version, index.tobytes(), joined, vectors.data
        )


def cut(folder: Path, manifest: Manifest) -> None:
    """Remove what no manifest names: the rest of a commit or of a compaction that was killed.

    Readers are not disturbed: they map no byte past the lengths in a manifest, and files of a
    former generation stay readable for those that have them mapped.
    """
    kept: dict[str, int] = {}
    for number, extent in enumerate(manifest.segments):
        sizes = {"vectors": extent.rows * manifest.row_bytes, "journal": extent.bytes}
        for kind, size in sizes.items():
            kept[segment_file(folder, manifest.generation, number, kind).name] = size
    for file in folder.iterdir():
        if _NAME.fullmatch(file.name):
            with suppress(FileNotFoundError):
                if file.name not in kept:
                    file.unlink()
                elif file.stat().st_size > kept[file.name]:
                    os.truncate(file, kept[file.name])
