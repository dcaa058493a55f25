"""No two rows of the input have one id: checked with 8 bytes per row.

    h(id), 64 bits, of every row     met before?  →  read the ids of the shards, and compare

Ids themselves are not held. Two ids may have one hash, by chance once in some billion rows, so that
a hash that was met is only a reason to look.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leanformer.core.shards import shard_name
from leanformer.core.shown import shown
from leanformer.data.corpus.records import Record
from leanformer.retrieve.embed.shards import ids_in
from leanformer.retrieve.store.layout import key_hash


class Hashes:
    """A set of 64-bit numbers: a few sorted arrays, each at least twice as long as the next."""

    def __init__(self) -> None:
        self._runs: list[NDArray[np.uint64]] = []

    def met(self, hashes_N: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these were added before, [N]."""
        found_N = np.zeros(len(hashes_N), np.bool_)
        for run in self._runs:
            places_N = np.minimum(np.searchsorted(run, hashes_N), len(run) - 1)
            found_N |= run[places_N] == hashes_N
        return found_N

    def add(self, hashes_N: NDArray[np.uint64]) -> None:
        """Add some."""
        if not len(hashes_N):
            return
        new = np.sort(hashes_N)
        while self._runs and len(self._runs[-1]) < 2 * len(new):
            new = np.sort(np.concatenate([self._runs.pop(), new]), kind="stable")
        self._runs.append(new)


def with_distinct_ids(windows: Iterable[list[Record]], out: Path) -> Iterator[list[Record]]:
    """The windows, each after its ids were compared with all before.

    Args:
        windows: Rows in order; those that cannot be read do not count.
        out: The folder of the shards, which has that of each window before the next is asked for.

    Raises:
        ValueError: Two rows have one id; it is named with both places.
    """
    seen = Hashes()
    for number, window in enumerate(windows):
        rows = [record for record in window if not record.error]
        _refuse_twice(rows)
        hashes = np.fromiter((key_hash(one.id.encode()) for one in rows), np.uint64, len(rows))
        for place in np.flatnonzero(seen.met(hashes)):
            _refuse_stored(rows[place], out, number)
        seen.add(hashes)
        yield window


def _refuse_twice(rows: list[Record]) -> None:
    """Refuse an id that two rows of a window have."""
    first = dict[str, Record]()
    for record in rows:
        if (before := first.setdefault(record.id, record)) is not record:
            raise _twice(record, f"{before.place} has")


def _refuse_stored(record: Record, out: Path, shards: int) -> None:
    """Refuse an id that a row of the first shards has."""
    row = 0
    for number in range(shards):
        ids = ids_in(out / shard_name(number))
        if record.id in ids:
            raise _twice(record, f"vector {row + ids.index(record.id)} of {out} has")
        row += len(ids)


def _twice(record: Record, who: str) -> ValueError:
    return ValueError(
        f"{record.place}: its id {shown(record.id)} is the one that {who}; give each row an id of "
        "its own, or leave out id (--id): rows are counted then"
    )
