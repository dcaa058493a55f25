"""Metadata by field, so that a filter asks once per different value and not once per row.

    code_r      which value row r has in this field: [rows] int32; -1 = it has none
    holds_c     whether value c satisfies the condition; the last element stands for "none"
    mask_r = holds[code_r]

A column is read when a filter names its field for the first time, and grows with the store. Those
that were asked for last are kept: whoever invents names of fields does not fill the memory.
"""

import json
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.retrieve.store.blocks import Blocks
from leanformer.retrieve.store.growing import Growing
from leanformer.retrieve.store.where import Condition, Group

_ROWS = 16384
_MOST = 64  # columns that are kept


class Columns:
    """The fields that filters asked for, within a generation; threads may share it."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._lock = threading.Lock()
        self._columns: dict[str, _Column] = {}

    def mask(self, group: Group, alive: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the rows that are `alive` [rows] satisfy the conditions [rows].

        Raises:
            ValueError: A row has a value that does not compare.
        """
        found = alive.copy() if group.every else np.zeros_like(alive)
        for part in group.parts:
            among = found if group.every else alive & ~found
            ours = self._part(part, among)
            found = ours if group.every else found | ours
        return found

    def _part(self, condition: Group | Condition, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if isinstance(condition, Group):
            return self.mask(condition, among)
        with self._lock:
            column = self._columns.pop(condition.field, None) or _Column(condition.field)
            column.extend(self._blocks, len(among))
            self._columns[condition.field] = column  # behind those that were asked for before it
            while len(self._columns) > _MOST:
                del self._columns[next(iter(self._columns))]
        codes = column.codes.first(len(among))
        used = np.unique(codes[among])
        holds = np.zeros(len(column.values) + 1, np.bool_)
        holds[-1] = condition.holds_without()
        for code in used[used >= 0].tolist():
            holds[code] = condition.holds(column.values[code])
        found: NDArray[np.bool_] = among & holds[codes]
        return found


class _Column:
    """The values of one field."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.codes = Growing(np.int32)
        self.values: list[Any] = []
        self._code: dict[str, int] = {}

    def extend(self, blocks: Blocks, rows: int) -> None:
        """Read the rows that came since."""
        while (begin := len(self.codes)) < rows:
            numbers = np.arange(begin, min(begin + _ROWS, rows))
            pieces = blocks.pieces(numbers, [2])
            codes = [self._code_of(json.loads(metadata)) for (metadata,) in pieces]
            self.codes.append(np.array(codes, np.int32))

    def _code_of(self, metadata: dict[str, Any]) -> int:
        if self._name not in metadata:
            return -1
        value = metadata[self._name]
        written = json.dumps(value)
        if written not in self._code:
            self._code[written] = len(self.values)
            self.values.append(value)
        return self._code[written]
