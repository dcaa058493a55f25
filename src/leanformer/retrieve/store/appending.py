"""How a writer appends to the files of a generation, and cuts off what was not committed."""

import os
from collections.abc import Iterator
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
    MANIFEST,
    ROWS,
    encode_block,
    key_hash,
    segment_file,
)
from leanformer.retrieve.store.manifest import Extent, Manifest


@dataclass
class Appending:
    """Appends to the segments of a generation. Nothing of it is committed by it."""

    folder: Path
    manifest: Manifest
    version: int
    segments: list[Extent] = field(default_factory=list)
    deleted: int = 0

    def rows(self) -> int:
        """Rows so far."""
        return sum(segment.rows for segment in self.segments)

    def append(self, batch: Batch) -> NDArray[np.int64]:
        """Write rows and bring them to the disk; returns their numbers [N]."""
        first, begin = self.rows(), 0
        while begin < len(batch.texts):
            if not self.segments or self.segments[-1].rows >= self.manifest.segment_rows:
                self.segments.append(Extent(0, 0))
            room = self.manifest.segment_rows - self.segments[-1].rows
            end = min(begin + room, len(batch.texts))
            self._write(Batch(batch.vectors[begin:end], batch.texts[begin:end]))
            begin = end
        return np.arange(first, self.rows())

    def bury(self, rows: NDArray[np.int64]) -> None:
        """Write tombstones of rows and bring them to the disk."""
        index = rows.astype("<u8").tobytes()
        block = encode_block(GONE, len(rows), self.rows(), self.version, index)
        last = self.segments[-1]
        self._put(self._file("journal"), last.bytes, [block])
        self.segments[-1] = Extent(last.rows, last.bytes + len(block))
        self.deleted += len(rows)

    def _write(self, batch: Batch) -> None:
        """Write rows into the last segment, which has room for them."""
        last = self.segments[-1]
        vectors = np.ascontiguousarray(batch.vectors)
        blocks = list(_blocks(Batch(vectors, batch.texts), self.rows(), self.version))
        self._put(
            self._file("vectors"), last.rows * self.manifest.row_bytes, [vectors.data.cast("B")]
        )
        self._put(self._file("journal"), last.bytes, blocks)
        if not last.bytes:
            make_durable(self.folder)  # the names of new files
        size = last.bytes + sum(map(len, blocks))
        self.segments[-1] = Extent(last.rows + len(vectors), size)

    def _file(self, kind: str) -> Path:
        number = len(self.segments) - 1
        return segment_file(self.folder, self.manifest.generation, number, kind)

    def _put(self, file: Path, offset: int, parts: list[Any]) -> None:
        """Write `parts` at a byte of a file, and bring them to the disk."""
        with naming_disk(file, sum(map(len, parts))):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                os.lseek(handle, offset, os.SEEK_SET)
                for part in parts:
                    write_all(handle, part)
                os.fsync(handle)
            finally:
                os.close(handle)


def _blocks(batch: Batch, first_row: int, version: int) -> Iterator[bytes]:
    """The blocks of the journal for these rows."""
    size = max(1, BLOCK_BYTES // batch.vectors[0].nbytes)
    for begin in range(0, len(batch.texts), size):
        texts = batch.texts[begin : begin + size]
        vectors = batch.vectors[begin : begin + size]
        index = np.empty((len(texts), 4), "<u8")
        index[:, 0] = [key_hash(key) for key, _, _ in texts]
        index[:, 1:] = np.cumsum([len(part) for row in texts for part in row]).reshape(-1, 3)
        joined = b"".join(part for row in texts for part in row)
        yield encode_block(
            ROWS, len(texts), first_row + begin, version, index.tobytes(), joined, vectors.data
        )


def cut(folder: Path, manifest: Manifest) -> None:
    """Remove what no manifest names: the rest of a commit or of a compaction that was killed.

    Readers are not disturbed: they map no byte past the lengths in a manifest, and files of a
    former generation stay readable to those that have them mapped.
    """
    kept: dict[str, int] = {}
    for number, extent in enumerate(manifest.segments):
        sizes = {"vectors": extent.rows * manifest.row_bytes, "journal": extent.bytes}
        for kind, size in sizes.items():
            kept[segment_file(folder, manifest.generation, number, kind).name] = size
    for file in folder.iterdir():
        if file.suffix not in (".vectors", ".journal") or file.name == MANIFEST:
            continue
        if file.name not in kept:
            with suppress(FileNotFoundError):
                file.unlink()
        elif file.stat().st_size > kept[file.name]:
            os.truncate(file, kept[file.name])
