"""How a store lies on the disk.

    manifest.json              what is committed: one small file, replaced by a rename
    00002-00000.vectors        segment 0 of generation 2: a matrix [rows, D], no header
    00002-00000.journal        blocks in a row: keys, texts, metadata, tombstones, checksums

Both files of a segment only ever grow. A commit appends the vectors, appends blocks to the journal,
brings both to the disk, and then publishes a manifest with the new lengths:

    write .vectors → write .journal → fsync both → write a manifest beside → fsync → rename → fsync

What lies past the lengths in the manifest does not exist for a reader: a kill before the rename
leaves the former state, one after it the new state, and never half a batch. The next writer cuts
that rest off. The manifest lists segments and not rows, and a segment takes a GiB of vectors, so
that a commit costs the same in a large store. Compaction writes the rows that are alive as a new
generation beside the old one; the rename of the manifest decides between them.

A block of the journal describes up to 256 KiB of vectors, or the rows that a commit deleted:

    kind        4 bytes    b"ROWS" or b"GONE"
    count       uint32     n: rows in the block, or tombstones
    first_row   uint64     number of its first row within the generation
    version     uint64     version of the commit that wrote it
    text_bytes  uint64     length of the last part
    checksums   4 uint32   CRC-32 of the index, the texts, the vectors, and of this header
    index       n x 4 uint64: hash of the key, ends of key, text and metadata in the last part
                (of b"GONE": n x uint64, the rows)
    texts       key, text and metadata (JSON) of each row, UTF-8

All numbers are little-endian. A header and tombstones are checked when a store is opened; an index,
texts and vectors when a row of their block is read for the first time, and wholly by `verify()`.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"
ROWS, GONE = b"ROWS", b"GONE"
HEADER = struct.Struct("<4sIQQQIIII")
INDEX_BYTES = {ROWS: 32, GONE: 8}
"""Bytes in the index of a block for each row."""
BLOCK_BYTES = 2**18
"""Vectors that one checksum covers, in bytes: what the first look at a row reads."""
SEGMENT_BYTES = 2**30
"""Vectors in a segment."""


@dataclass(frozen=True)
class Block:
    """The header of a block: see the module."""

    kind: bytes
    count: int
    first_row: int
    version: int
    text_bytes: int
    index_crc: int
    text_crc: int
    vector_crc: int

    @property
    def index_bytes(self) -> int:
        """Length of the index."""
        return self.count * INDEX_BYTES[self.kind]

    @property
    def size(self) -> int:
        """Length of the block with its header."""
        return HEADER.size + self.index_bytes + self.text_bytes


def encode_block(
    kind: bytes,
    count: int,
    first_row: int,
    version: int,
    index: bytes,
    texts: bytes = b"",
    vectors: memoryview | bytes = b"",
) -> bytes:
    """The bytes of a block."""
    fields = (kind, count, first_row, version, len(texts))
    crcs = (zlib.crc32(index), zlib.crc32(texts), zlib.crc32(vectors))
    head = HEADER.pack(*fields, *crcs, 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head)) + index + texts


def decode_header(raw: bytes) -> Block | None:
    """The header in `raw`; None where it is not one that was written."""
    if len(raw) != HEADER.size:
        return None
    *fields, crc = HEADER.unpack(raw)
    if zlib.crc32(raw[:-4]) != crc or fields[0] not in INDEX_BYTES:
        return None
    return Block(*fields)


def segment_file(folder: Path, generation: int, number: int, kind: str) -> Path:
    """The path of a file of a segment.

    Args:
        folder: The store.
        generation: Number of the generation.
        number: Number of the segment within it.
        kind: "vectors" or "journal".
    """
    return folder / f"{generation:05}-{number:05}.{kind}"


def key_hash(key: bytes) -> int:
    """A 64-bit hash of a key, the same in every process."""
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


class Damaged(ValueError):
    """A file of a store is not as it was written; no fault of whoever asks."""


def damaged(file: Path, offset: int, what: str) -> Damaged:
    """The error of a file that is not as it was written.

    Args:
        file: The file.
        offset: Where the damage begins, in bytes; or the block with it does.
        what: What is wrong there.
    """
    return Damaged(
        f"{file}: {what} at byte {offset}: the file was altered or damaged after it was written; "
        "restore the store's folder from a copy, or create it anew from its texts"
    )
