"""Which row has a key: hashes of the keys, sorted, and a table of the rows added since.

    sorted hashes [m]   up to m rows; a binary search
    recent {hash: row}  rows m, m + 1, …; put among the sorted ones when they are a quarter of them

Sorting again at every doubling costs O(log n) per row in all. A key may have several rows (an
update adds one): the newest one counts, and whether it is alive is the snapshot's affair.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.store.blocks import Blocks
from leanformer.retrieve.store.layout import key_hash

_FEWEST = 4096


class KeyIndex:
    """The rows of keys within a generation."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._hashes = np.empty(0, np.uint64)
        self._rows = np.empty(0, np.int64)
        self._recent: dict[int, list[int]] = {}
        self._known = self._counted = 0

    def find(self, keys: Sequence[bytes], rows: int) -> NDArray[np.int64]:
        """The newest row below `rows` of each key [n]; -1 where there is none."""
        found = np.full(len(keys), -1)
        waiting = self._candidates(keys, rows)
        while waiting:
            places = list(waiting)
            newest = np.array([waiting[place].pop() for place in places])
            there = self._blocks.pieces(newest, [0])
            for place, row, (key,) in zip(places, newest.tolist(), there, strict=True):
                if key == keys[place]:
                    found[place] = row
                if key == keys[place] or not waiting[place]:
                    del waiting[place]
        return found

    def _candidates(self, keys: Sequence[bytes], rows: int) -> dict[int, list[int]]:
        """For places of keys: the rows below `rows` with the same hash, oldest first."""
        hashes = np.array([key_hash(key) for key in keys], np.uint64)
        with self._blocks.lock:
            self._extend()
            begins = np.searchsorted(self._hashes, hashes, side="left")
            ends = np.searchsorted(self._hashes, hashes, side="right")
            sorted_rows, recent = self._rows, self._recent
            found = {
                int(place): sorted_rows[begins[place] : ends[place]].tolist()
                for place in np.flatnonzero(begins < ends)
            }
            if recent:
                for place, value in enumerate(hashes.tolist()):
                    if value in recent:
                        found.setdefault(place, []).extend(recent[value])
        below = {place: [row for row in ours if row < rows] for place, ours in found.items()}
        return {place: ours for place, ours in below.items() if ours}

    def _extend(self) -> None:
        """Take in the rows that came since."""
        table = self._blocks.table
        blocks = table.first(len(table))[self._counted :]
        new = [self._blocks.index(block)[:, 0] for block in blocks]
        if not new:
            return
        hashes = np.concatenate(new)
        rows = np.arange(self._known, self._known + len(hashes))
        if self._known + len(hashes) - len(self._rows) > max(_FEWEST, len(self._rows) // 4):
            self._sort(hashes, rows)
        else:
            for value, row in zip(hashes.tolist(), rows.tolist(), strict=True):
                self._recent.setdefault(value, []).append(row)
        self._known, self._counted = self._known + len(hashes), self._counted + len(blocks)

    def _sort(self, hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Put recent rows, and these, among the sorted ones."""
        recent = [(value, row) for value, found in self._recent.items() for row in found]
        values = np.array([value for value, _ in recent], np.uint64)
        recent_rows = np.array([row for _, row in recent], np.int64)
        all_hashes = np.concatenate([self._hashes, values, hashes])
        all_rows = np.concatenate([self._rows, recent_rows, rows])
        order = np.lexsort((all_rows, all_hashes))
        self._hashes, self._rows = all_hashes[order], all_rows[order]
        self._recent = {}
