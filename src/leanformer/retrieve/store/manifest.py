"""The manifest: the one file that says what is committed, whole or not at all.

    {"crc32": "9f3c01aa", "dtype": "float32", …, "segments": [[40, 8120]], …}

Of each segment it tells the rows and the length of the journal; its size does not depend on the
number of rows. It ends every commit, by a rename.
"""

import json
import zlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from leanformer.core.storage.files import write_bytes
from leanformer.core.storage.json_file import parse_json
from leanformer.retrieve.store.layout import MANIFEST

_FORMAT = 1
_MOST_BYTES = 2**24
_WAY_OUT = "restore the store's folder from a copy, or create it anew from its texts"


@dataclass(frozen=True)
class Extent:
    """What of a segment is committed.

    Attributes:
        rows: Rows of its vectors.
        bytes: Length of its journal.
    """

    rows: int
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """A committed state of a store.

    Attributes:
        store: A random name of the store, which tells it from another one in the same place.
        width: Elements of a vector.
        dtype: Of the vectors on the disk: "float32" or "float16".
        encoder: Identity of what made the vectors.
        normalized: Whether every vector has length 1.
        segment_rows: Rows that a segment takes.
        version: Number of commits so far; a reader tells by it whether it is up to date.
        generation: Number of compactions so far.
        deleted: Tombstones in this generation.
        segments: What of each segment is committed.
    """

    store: str
    width: int
    dtype: Literal["float32", "float16"]
    encoder: str
    normalized: bool
    segment_rows: int
    version: int = 0
    generation: int = 0
    deleted: int = 0
    segments: tuple[Extent, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in this generation, deleted ones too."""
        return sum(segment.rows for segment in self.segments)

    @property
    def row_bytes(self) -> int:
        """Bytes of a vector on the disk."""
        return self.width * self.disk_dtype.itemsize

    @property
    def disk_dtype(self) -> np.dtype[Any]:
        """The dtype of the vectors' files."""
        return np.dtype(self.dtype).newbyteorder("<")

    def next(self, **changes: Any) -> Self:
        """The manifest of the next commit."""
        return replace(self, version=self.version + 1, **changes)


def publish(folder: Path, manifest: Manifest) -> None:
    """Make `manifest` the committed state of the store: it is on the disk when this returns.

    Raises:
        DiskFull: There is no space; the former manifest is still there.
    """
    write_bytes(folder / MANIFEST, _written(manifest))


def read_manifest(folder: Path) -> Manifest:
    """The committed state of the store in `folder`.

    Raises:
        FileNotFoundError: There is no store.
        ValueError: The manifest is damaged, or of another format.
    """
    file = folder / MANIFEST
    if not file.exists():
        raise FileNotFoundError(
            f"{folder} holds no vector store ({MANIFEST} is missing); name the folder of one, or "
            "make it with VectorStore.create"
        )
    if not file.is_file() or file.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{file} is not the manifest of a store; {_WAY_OUT}")
    raw = file.read_bytes()
    try:
        table = parse_json(raw)
    except ValueError as error:
        raise ValueError(f"{file} {error}; {_WAY_OUT}") from error
    known = table.get("format")
    if known != _FORMAT and isinstance(known, int) and _signed(table):
        raise ValueError(
            f"{file} is of format {known}, and this version reads {_FORMAT}; install the version "
            "of leanformer that wrote it"
        )
    manifest = _parsed(table)
    if manifest is None or _written(manifest) != raw:
        raise ValueError(
            f"{file} was altered after it was written: its checksum is wrong; {_WAY_OUT}"
        )
    return manifest


def _parsed(table: dict[str, Any]) -> Manifest | None:
    """The manifest in a table whose checksum is right; None where it is wrong."""
    if not _signed(table):
        return None
    try:
        values = {field.name: table[field.name] for field in fields(Manifest)}
        values["segments"] = tuple(Extent(*segment) for segment in values["segments"])
        manifest = Manifest(**values)
        numbers = [manifest.version, manifest.generation, manifest.deleted]
        numbers += [size for one in manifest.segments for size in (one.rows, one.bytes)]
        sound = min(numbers) >= 0 < min(manifest.width, manifest.segment_rows)
    except (KeyError, TypeError):
        return None
    return manifest if sound and manifest.dtype in ("float32", "float16") else None


def _signed(table: dict[str, Any]) -> bool:
    return table.get("crc32") == _checksum({n: v for n, v in table.items() if n != "crc32"})


def _written(manifest: Manifest) -> bytes:
    table: dict[str, Any] = {
        field.name: getattr(manifest, field.name) for field in fields(Manifest)
    }
    table["segments"] = [[segment.rows, segment.bytes] for segment in manifest.segments]
    table["format"] = _FORMAT
    return (_text(table | {"crc32": _checksum(table)}) + "\n").encode()


def _checksum(table: dict[str, Any]) -> str:
    return f"{zlib.crc32(_text(table).encode()):08x}"


def _text(table: dict[str, Any]) -> str:
    """The text of a table, of which there is one."""
    return json.dumps(table, sort_keys=True)
