"""Reading embeddings: ids, and a matrix of which only what is read comes into memory.

    embeddings.json    {"format": 1, "encoder": …, "width": …, "shards": […], "parts": {…}, …}

The file is written when all shards are whole, and it has the checksums of all of their files.

Legend: N vectors, D width of a vector.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from leanformer.core.shards import read_table, write_table
from leanformer.core.storage.files import recover_folder
from leanformer.core.storage.parts import compare_parts
from leanformer.retrieve.embed.shards import ENDS, IDS, VECTORS, Shard, skipped_rows

LISTING = "embeddings.json"
_FORMAT = 1


@dataclass(frozen=True)
class Listing:
    """What a finished folder holds.

    Attributes:
        encoder: Identity of the encoder that made the vectors.
        precision: What its products were computed in.
        prompt: Name of the prompt that was put before the texts; "" = none.
        width: Numbers per vector.
        dtype: "float32" or "float16".
        normalized: Whether vectors have length one.
        shards: The shards, in order.
        parts: Sizes and checksums of their files.
    """

    encoder: str
    precision: str
    prompt: str
    width: int
    dtype: str
    normalized: bool
    shards: tuple[Shard, ...]
    parts: dict[str, Any] = field(repr=False)


class StoredVectors:
    """The vectors of all shards as one matrix, mapped from the disk.

    `vectors[3]`, `vectors[10:20]` and `vectors[array_of_rows]` are copied into memory, and so is
    all of it by `numpy.asarray(vectors)`.

    Attributes:
        shape: (N, D).
        dtype: float32 or float16.
    """

    ndim = 2

    def __init__(self, folder: Path, listing: Listing) -> None:
        shards = [shard for shard in listing.shards if shard.rows]
        self.shape = (sum(shard.rows for shard in shards), listing.width)
        self.dtype = np.dtype(listing.dtype)
        self._begins = np.cumsum([0, *(shard.rows for shard in shards)])
        files = [folder / one.name / VECTORS for one in shards]
        self._parts = [np.load(file, mmap_mode="r", allow_pickle=False) for file in files]
        for file, part, shard in zip(files, self._parts, shards, strict=True):
            if part.shape != (shard.rows, listing.width) or part.dtype != self.dtype:
                raise ValueError(
                    f"{file} holds {part.dtype} of shape {part.shape}, and {LISTING} names "
                    f"{self.dtype} of shape {(shard.rows, listing.width)}; {_way_out(folder)}"
                )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: int | slice | Sequence[int] | NDArray[Any]) -> NDArray[Any]:
        """The vectors of some rows, [D] for one row, else [rows, D].

        Raises:
            IndexError: There is no such row.
        """
        if isinstance(rows, slice):
            index = np.arange(*rows.indices(len(self)))
        elif isinstance(rows, int):
            index = np.asarray(range(len(self))[rows])
        else:
            index = np.arange(len(self))[rows]  # numpy's own rules: negative rows, masks
        flat = np.atleast_1d(index)
        found = np.empty((len(flat), self.shape[1]), self.dtype)
        part = np.searchsorted(self._begins, flat, "right") - 1
        for number in np.unique(part):
            of_part = part == number
            found[of_part] = self._parts[number][flat[of_part] - self._begins[number]]
        return found[0] if np.ndim(index) == 0 else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the vectors lie in files; copy=False cannot give them")
        return self[:] if dtype is None else self[:].astype(dtype)

    def blocks(self, size: int = 65536) -> Iterator[NDArray[Any]]:
        """All vectors in order, so many at a time."""
        return (self[begin : begin + size] for begin in range(0, len(self), size))


class StoredIds(Sequence[str]):
    """The ids of all shards in order, mapped from the disk."""

    def __init__(self, folder: Path, listing: Listing) -> None:
        shards = [shard for shard in listing.shards if shard.rows]
        self._begins = np.cumsum([0, *(shard.rows for shard in shards)])
        self._ends = [np.memmap(folder / one.name / ENDS, "<i8", "r") for one in shards]
        self._files = [folder / one.name / IDS for one in shards]
        self._bytes = [np.memmap(file, "u1", "r") for file in self._files]
        for file, ends, raw, shard in zip(
            self._files, self._ends, self._bytes, shards, strict=True
        ):
            if len(ends) != shard.rows or ends[-1] != len(raw):
                raise ValueError(
                    f"{file} does not hold the {shard.rows} ids that {LISTING} names; "
                    f"{_way_out(folder)}"
                )

    def __len__(self) -> int:
        return int(self._begins[-1])

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        """The id of a row, or a list of those of several.

        Raises:
            IndexError: There is no such row.
        """
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        part = int(np.searchsorted(self._begins, row, "right")) - 1
        ends, place = self._ends[part], row - int(self._begins[part])
        begin = int(ends[place - 1]) if place else 0
        return self._bytes[part][begin : int(ends[place])].tobytes().decode()


@dataclass(frozen=True)
class Embeddings:
    """Vectors with their ids.

    Attributes:
        folder: Where they lie.
        ids: One per vector.
        vectors: The matrix [N, D].
        listing: What the folder holds.
    """

    folder: Path
    ids: StoredIds
    vectors: StoredVectors
    listing: Listing

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def skipped(self) -> int:
        """Rows of the input that could not be read and were skipped."""
        return sum(shard.read - shard.rows for shard in self.listing.shards)

    def skipped_rows(self) -> Iterator[dict[str, str]]:
        """The "place" and the "error" of each of them, in order."""
        return skipped_rows(self.folder, self.listing.shards)


def read_embeddings(folder: str | Path, *, check: bool = True) -> Embeddings:
    """Open what `leanformer embed` wrote.

    Args:
        folder: The folder.
        check: Compare every file with its checksum, which reads all of them once; False compares
            sizes alone.

    Raises:
        ValueError: The folder holds no finished embeddings, or a file is missing, altered or
            damaged; the file is named.
    """
    folder = Path(folder)
    recover_folder(folder)
    listing = read_listing(folder)
    way_out = _way_out(folder)
    compare_parts(folder, listing.parts, way_out, extra="ignore", named_by=LISTING, checksums=check)
    return Embeddings(folder, StoredIds(folder, listing), StoredVectors(folder, listing), listing)


def _way_out(folder: Path) -> str:
    return f"remove {folder} and embed the texts again"


def write_listing(folder: Path, listing: Listing) -> None:
    """Write `embeddings.json`, when all shards are whole."""
    write_table(folder / LISTING, asdict(listing), _FORMAT)


def read_listing(folder: Path) -> Listing:
    """What `write_listing` wrote.

    Raises:
        ValueError: It is missing, damaged or of another version.
    """
    unfinished = "nothing was embedded there to its end"
    way_out = "give the command that embeds the texts again"
    table = read_table(folder / LISTING, _FORMAT, unfinished, way_out)
    shards = tuple(Shard(**one) for one in table.pop("shards"))
    return Listing(shards=shards, **table)
