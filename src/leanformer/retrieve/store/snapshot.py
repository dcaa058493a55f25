"""A store as it was at one version: it never changes under its reader."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from leanformer.core.shown import shown
from leanformer.retrieve.store.blocks import Blocks
from leanformer.retrieve.store.columns import Columns
from leanformer.retrieve.store.key_index import KeyIndex
from leanformer.retrieve.store.manifest import Manifest
from leanformer.retrieve.store.where import parse_where


class Generation:
    """What the snapshots of one generation share."""

    def __init__(self, folder: Path, number: int) -> None:
        self.blocks = Blocks(folder, number)
        self.keys = KeyIndex(self.blocks)
        self.columns = Columns(self.blocks)


class Snapshot:
    """One version of a store. Any number of threads may read it.

    Its files stay mapped, so that it can be read while a writer adds, deletes and compacts, and
    after the store is closed.

    Attributes:
        version: Number of commits before it.
        generation: Number of compactions before it. Row numbers are those of a generation.
        store: A random name of the store, which tells it from another one in the same place.
        rows: Rows appended in this generation, deleted ones too: numbers are 0 … rows - 1.
        width: Elements of a vector.
        encoder: Identity of what made the vectors; "" where it is not known.
        normalized: Whether every vector has length 1.
    """

    def __init__(self, manifest: Manifest, state: Generation) -> None:
        self.manifest, self.state = manifest, state
        self.version, self.generation = manifest.version, manifest.generation
        self.rows, self.width = manifest.rows, manifest.width
        self.store = manifest.store
        self.encoder, self.normalized = manifest.encoder, manifest.normalized

    def __len__(self) -> int:
        """Rows that are alive."""
        return self.rows - self.manifest.deleted

    def alive(self) -> NDArray[np.bool_]:
        """Which rows are not deleted [rows]."""
        found: NDArray[np.bool_] = self.state.blocks.died.first(self.rows) >= self.manifest.deleted
        return found

    def vectors(self, rows: ArrayLike) -> NDArray[np.float32]:
        """The vectors of these rows [n, D], deleted ones too.

        Raises:
            ValueError: There is no such row, or the file is damaged where it is read.
        """
        numbers = self._numbers(rows)
        if not len(numbers):
            return np.empty((0, self.width), np.float32)
        return self.state.blocks.vectors(numbers)

    def blocks(self, size: int = 65536) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The rows that are alive, in order: their numbers [n] and vectors [n, D].

        Args:
            size: Rows that are read at a time; n is at most that.
        """
        alive = np.flatnonzero(self.alive())
        for begin in range(0, len(alive), size):
            rows = alive[begin : begin + size]
            yield rows, self.vectors(rows)

    def keys(self, rows: ArrayLike) -> list[str]:
        """The keys of these rows.

        Raises:
            ValueError: As of `vectors`.
        """
        return [key.decode() for (key,) in self.state.blocks.pieces(self._numbers(rows), [0])]

    def rows_of(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """The row of each key [n]; -1 where no row that is alive has it.

        Raises:
            ValueError: `keys` is one text, a key is not a text, or the journal is damaged where it
                is read.
        """
        if isinstance(keys, str):
            raise ValueError(f"keys is one text, {shown(keys)}; give a list of keys")
        for place, key in enumerate(keys):
            if not isinstance(key, str):
                raise ValueError(f"keys[{place}] is {shown(key)}; a key is a text")
        names = [key.encode(errors="surrogatepass") for key in keys]
        found = self.state.keys.find(names, self.rows)
        there = found >= 0
        gone = self.state.blocks.died.first(self.rows)[found[there]] < self.manifest.deleted
        found[np.flatnonzero(there)[gone]] = -1
        return found

    def records(self, rows: ArrayLike) -> list[dict[str, Any]]:
        """Text and metadata of these rows: {"text": "…", "metadata": {…}}.

        Raises:
            ValueError: As of `vectors`.
        """
        found = self.state.blocks.pieces(self._numbers(rows), [1, 2])
        return [{"text": text.decode(), "metadata": json.loads(raw)} for text, raw in found]

    def matching(self, where: Mapping[str, Any]) -> NDArray[np.bool_]:
        """Which rows are alive and have this metadata [rows].

        Args:
            where: E.g. {"year": {">=": 1960}, "source": "a"}: see
                `leanformer.retrieve.store.where`.

        Raises:
            ValueError: An operator is unknown, or values do not compare.
        """
        return self.state.columns.mask(parse_where(where), self.alive())

    def verify(self) -> None:
        """Read everything and check it against its checksums.

        Raises:
            ValueError: A file is damaged; the message names it and the place.
        """
        self.state.blocks.verify(self.manifest)

    def _numbers(self, rows: ArrayLike) -> NDArray[np.int64]:
        """Row numbers, which are in this snapshot."""
        given = np.asarray(rows)
        if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            raise ValueError(
                f"rows has shape {list(given.shape)} and is of {given.dtype}; give a list of row "
                "numbers (np.flatnonzero makes one of a mask)"
            )
        numbers = given.astype(np.int64)
        wrong = numbers[(numbers < 0) | (numbers >= self.rows)]
        if len(wrong):
            raise ValueError(
                f"there is no row {wrong[0]}: this snapshot has rows 0 to {self.rows - 1} of "
                f"generation {self.generation}; compaction numbers rows anew, so look them up by "
                "key with rows_of"
            )
        return numbers
