"""Which rows each step of each epoch reads, found without holding any order in memory.

    order     a permutation of the rows per epoch, which is computed (`permutation`)
    batch     a fixed number of rows; or step k of S ends where the targets come nearest to k / S

Batches of equally many targets are cut at rows, and what one is short of the next one gets: no
error adds up, and each epoch has equally many steps. Rows that are grouped by length are sorted
within pools of 50 batches, and the batches of an epoch are permuted in turn.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from leanformer.data.corpus.permutation import Permutation
from leanformer.data.corpus.rows import Rows

_POOL = 50  # batches whose rows are sorted by length together
_CHUNK = 2**16  # rows whose targets are counted at once
_KEPT = 2  # epochs whose cuts are kept: an epoch ends while the next one begins

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """The rows of each step; several threads may ask.

    Attributes:
        rows: All rows.
        seed: Decides the order.
        steps: Steps of an epoch.
        batch_size: Rows of a step; None = equally many targets in each.
    """

    rows: Rows
    seed: int
    steps: int
    batch_size: int | None
    _cuts: dict[int, Indices] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, step: int) -> Indices:
        """The rows of a step, 0-based and counted through all epochs."""
        epoch, place = divmod(step, self.steps)
        if self._grouped:
            place = int(self._permutation(epoch, self.steps, 1)(np.array([place]))[0])
        if self.batch_size is not None:
            begin = place * self.batch_size
            return self._between(epoch, begin, min(begin + self.batch_size, len(self.rows)))
        cuts = self._cuts_of(epoch)
        return self._between(epoch, int(cuts[place]), int(cuts[place + 1]))

    @property
    def _grouped(self) -> bool:
        return self.rows.plan.form.packing == "grouped"

    @property
    def _pool(self) -> int:
        """Rows that are sorted by length together."""
        return _POOL * -(-len(self.rows) // self.steps)

    def _permutation(self, epoch: int, size: int, use: int) -> Permutation:
        return Permutation(size, (self.seed * 100_003 + epoch) * 2 + use)

    def _between(self, epoch: int, begin: int, end: int) -> Indices:
        """The rows from `begin` to `end` in the order of an epoch."""
        permutation = self._permutation(epoch, len(self.rows), 0)
        if not self._grouped:
            return permutation(np.arange(begin, end))
        size, found = self._pool, []
        for first in range(begin // size * size, end, size):
            rows = permutation(np.arange(first, min(first + size, len(self.rows))))
            rows = rows[np.argsort(self.rows.lengths(rows), kind="stable")]
            found.append(rows[max(begin - first, 0) : end - first])
        return np.concatenate(found)

    def _cuts_of(self, epoch: int) -> Indices:
        """Where the batches of an epoch begin in its order, and where the last one ends."""
        with self._lock:
            if epoch not in self._cuts:
                while len(self._cuts) >= _KEPT:
                    del self._cuts[next(iter(self._cuts))]
                self._cuts[epoch] = self._cut(epoch)
            return self._cuts[epoch]

    def _cut(self, epoch: int) -> Indices:
        """Count the targets of an epoch's rows in their order, and cut where they are reached."""
        count, total = len(self.rows), self.rows.plan.targets
        wanted = np.arange(1, self.steps) * (total / self.steps)
        cuts, before = [np.zeros(1, np.int64)], 0
        size = self._pool if self._grouped else _CHUNK
        for first in range(0, count, size):
            rows = self._between(epoch, first, min(first + size, count))
            sums = before + np.concatenate([[0], np.cumsum(self.rows.targets(rows))])
            own = wanted[(wanted > before) & (wanted <= sums[-1])]
            place = np.searchsorted(sums, own)  # the first row that reaches it
            place -= own - sums[place - 1] < sums[place] - own  # or the one before, if nearer
            cuts.append(first + place)
            before = int(sums[-1])
        found = np.concatenate([*cuts, [count]])
        least = np.arange(self.steps + 1)  # each batch has a row at least
        found = np.maximum.accumulate(found - least) + least
        return np.minimum(found, count - self.steps + least)
