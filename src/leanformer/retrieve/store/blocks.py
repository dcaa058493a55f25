"""The blocks and tombstones of one generation, and what is read through them.

Everything in it only grows, as the files do. Snapshots of different versions share it, and each
looks at as many rows and tombstones as there were in its version:

    alive_r = died_r >= d        died: the number of a row's tombstone; d: tombstones in the version
"""

import threading
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.store.growing import Growing
from leanformer.retrieve.store.layout import GONE, HEADER, ROWS, Block, damaged
from leanformer.retrieve.store.manifest import Manifest
from leanformer.retrieve.store.segment import Segment

_ENTRY = np.dtype(
    [(name, np.int64) for name in ("first_row", "count", "segment", "index", "texts", "size")]
    + [(f"{part}_crc", np.uint32) for part in ("index", "text", "vector")]
    + [(f"{part}_seen", np.bool_) for part in ("index", "text", "vector")]
)
"""A block of rows: where its index and texts begin in its journal and how long the texts are, their
checksums, and which of them were found right."""
_NEVER = np.iinfo(np.int64).max


class Blocks:
    """The blocks of one generation, as far as this process has read them."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number
        self.lock = threading.RLock()
        self.segments: list[Segment] = []
        self.table = Growing(_ENTRY)
        self.died = Growing(np.int64)
        self._walked: list[int] = []  # bytes of each journal whose blocks are known
        self._deleted = 0

    def extend(self, manifest: Manifest) -> None:
        """Read what was committed since.

        Raises:
            FileNotFoundError: A file is missing: a newer generation may have taken its place.
            ValueError: A file is damaged.
        """
        with self.lock:
            first_row = 0
            for number, extent in enumerate(manifest.segments):
                if number == len(self.segments):
                    self.segments.append(Segment(self._folder, manifest, number, first_row))
                    self._walked.append(0)
                self.segments[number].extend(extent)
                self._walk(number, extent.bytes)
                first_row += extent.rows
                if len(self.died) < first_row:
                    raise damaged(
                        self.segments[number].journal_file,
                        extent.bytes,
                        f"its blocks describe {len(self.died)} rows, the manifest {first_row},",
                    )
            if self._deleted < manifest.deleted:
                raise damaged(
                    self.segments[-1].journal_file if self.segments else self._folder,
                    self._walked[-1] if self.segments else 0,
                    f"there are {self._deleted} tombstones and not {manifest.deleted}",
                )

    def _walk(self, number: int, end: int) -> None:
        """Read the headers of the new blocks of a segment."""
        segment = self.segments[number]
        limit = segment.first_row + len(segment.vectors)
        while (offset := self._walked[number]) < end:
            block = segment.block_at(offset)
            rows = len(self.died)
            last = block.first_row + block.count
            if block.kind == ROWS and block.first_row == rows and last <= limit:
                self.table.append(_entry(block, number, offset))
                self.died.append(np.full(block.count, _NEVER))
            elif block.kind == GONE and block.first_row == rows:
                self._bury(segment, block, offset)
            else:
                raise damaged(segment.journal_file, offset, f"a block does not follow row {rows}")
            self._walked[number] = offset + block.size

    def _bury(self, segment: Segment, block: Block, offset: int) -> None:
        """Take in tombstones."""
        rows = _tombstones(segment, block, offset)
        died = self.died.first(len(self.died))
        died[rows] = np.arange(self._deleted, self._deleted + len(rows))
        self._deleted += len(rows)

    def verify(self, manifest: Manifest) -> None:
        """Check every byte that `manifest` commits, also what was found right before.

        Raises:
            ValueError: A file is damaged.
        """
        for number, extent in enumerate(manifest.segments):
            segment, offset = self.segments[number], 0
            while offset < extent.bytes:
                block = segment.block_at(offset)
                entry = _entry(block, number, offset)[0]
                if block.kind == ROWS:
                    self.index(entry)
                    self.texts(entry)
                    self._check_vectors(entry)
                else:
                    _tombstones(segment, block, offset)
                offset += block.size

    def blocks_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number of the block of each row [n]."""
        first_rows = self.table.first(len(self.table))["first_row"]
        found: NDArray[np.int64] = np.searchsorted(first_rows, rows, side="right") - 1
        return found

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows [n, D], checked."""
        numbers = self.blocks_of(rows)
        blocks = self.table.first(len(self.table))
        unseen = numbers[~blocks["vector_seen"][numbers]]
        for number in np.unique(unseen):
            self._check_vectors(blocks[number])
        segments = blocks["segment"][numbers]
        found = np.empty((len(rows), self.segments[0].vectors.shape[1]), np.float32)
        for number in np.unique(segments):
            segment, ours = self.segments[number], segments == number
            found[ours] = segment.vectors[rows[ours] - segment.first_row]
        return found

    def _check_vectors(self, block: Any) -> None:
        segment = self.segments[block["segment"]]
        begin = int(block["first_row"]) - segment.first_row
        values = segment.vectors[begin : begin + int(block["count"])]
        if zlib.crc32(values) != block["vector_crc"]:
            offset = begin * values.itemsize * values.shape[1]
            raise damaged(segment.vector_file, offset, "the checksum of the vectors is wrong")
        block["vector_seen"] = True

    def index(self, block: Any) -> NDArray[np.uint64]:
        """The index of a block of rows: hash, ends of key, text and metadata [n, 4]; checked."""
        segment, offset = self.segments[block["segment"]], int(block["index"])
        raw = segment.read(offset, 32 * int(block["count"]))
        if not block["index_seen"]:
            if zlib.crc32(raw) != block["index_crc"]:
                raise damaged(segment.journal_file, offset, "the checksum of an index is wrong")
            block["index_seen"] = True
        return np.frombuffer(raw, "<u8").reshape(-1, 4)

    def texts(self, block: Any) -> bytes:
        """The texts of a block of rows, checked."""
        segment, offset = self.segments[block["segment"]], int(block["texts"])
        raw = segment.read(offset, int(block["size"]))
        if not block["text_seen"]:
            if zlib.crc32(raw) != block["text_crc"]:
                raise damaged(segment.journal_file, offset, "the checksum of texts is wrong")
            block["text_seen"] = True
        return raw

    def pieces(self, rows: NDArray[np.int64], parts: Sequence[int]) -> list[tuple[bytes, ...]]:
        """Parts of the texts of these rows, in their order.

        Args:
            rows: Row numbers [n].
            parts: 0 = the key, 1 = the text, 2 = the metadata.
        """
        found: list[tuple[bytes, ...]] = [()] * len(rows)
        numbers = self.blocks_of(rows)
        blocks = self.table.first(len(self.table))
        order = np.argsort(numbers, kind="stable")
        for run in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            if not len(run):
                continue
            block = blocks[numbers[run[0]]]
            texts, ends = self.texts(block), self.index(block)[:, 1:].astype(np.int64)
            begins = np.concatenate([[0], ends.ravel()[:-1]]).reshape(ends.shape)
            for place in run:
                row = int(rows[place] - block["first_row"])
                spans = ((begins[row, part], ends[row, part]) for part in parts)
                found[place] = tuple(texts[begin:end] for begin, end in spans)
        return found


def _tombstones(segment: Segment, block: Block, offset: int) -> NDArray[np.int64]:
    """The rows that a block of tombstones names [n], checked."""
    raw = segment.read(offset + HEADER.size, block.index_bytes)
    rows = np.frombuffer(raw, "<u8")
    if zlib.crc32(raw) != block.index_crc or (len(rows) and rows.max() >= block.first_row):
        raise damaged(segment.journal_file, offset, "the tombstones of a block are wrong")
    return rows.astype(np.int64)


def _entry(block: Block, segment: int, offset: int) -> NDArray[Any]:
    """The row of a block in the table of blocks."""
    index = offset + HEADER.size
    texts = index + block.index_bytes
    crcs = (block.index_crc, block.text_crc, block.vector_crc)
    entry = (block.first_row, block.count, segment, index, texts, block.text_bytes, *crcs)
    return np.array([(*entry, False, False, False)], _ENTRY)
