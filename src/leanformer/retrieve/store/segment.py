"""The two files of a segment, mapped as far as they are committed."""

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.store.layout import HEADER, Block, damaged, decode_header, segment_file
from leanformer.retrieve.store.manifest import Extent, Manifest


class Segment:
    """A segment as it is read.

    A map stays readable after its file is removed, so that a reader is not disturbed by a
    compaction.
    """

    def __init__(self, folder: Path, manifest: Manifest, number: int, first_row: int) -> None:
        self.first_row = first_row
        self.vector_file = segment_file(folder, manifest.generation, number, "vectors")
        self.journal_file = segment_file(folder, manifest.generation, number, "journal")
        self._width, self._dtype = manifest.width, manifest.disk_dtype
        self._extent = Extent(0, 0)
        self._journal: mmap.mmap | bytes = b""
        self.vectors: NDArray[Any] = np.empty((0, self._width), self._dtype)

    def extend(self, extent: Extent) -> None:
        """Map as much as is committed now.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file is shorter than what was committed.
        """
        if extent == self._extent:
            return
        size = extent.rows * self._width * self._dtype.itemsize
        journal, vectors = _mapped(self.journal_file, extent.bytes), _mapped(self.vector_file, size)
        shape = (extent.rows, self._width)
        self.vectors = np.frombuffer(vectors, self._dtype).reshape(shape)
        self._journal, self._extent = journal, extent

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the journal."""
        return self._journal[offset : offset + size]

    def block_at(self, offset: int) -> Block:
        """The header of the block that begins at a byte of the journal.

        Raises:
            ValueError: There is none, or it reaches past what is committed.
        """
        block = decode_header(self.read(offset, HEADER.size))
        if block is None or offset + block.size > self._extent.bytes:
            raise damaged(self.journal_file, offset, "there is no valid block header")
        return block


def _mapped(file: Path, size: int) -> mmap.mmap | bytes:
    """The first `size` bytes of a file."""
    handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.fstat(handle).st_size
        if there < size:
            raise damaged(file, there, f"it ends, {size - there} bytes too early,")
        return mmap.mmap(handle, size, access=mmap.ACCESS_READ) if size else b""
    finally:
        os.close(handle)
