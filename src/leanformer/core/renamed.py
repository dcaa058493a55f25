"""Fields that were called something else: recipes and checkpoints of an earlier version still read.

A row of the table names a class, the old field, the new one, and where the value changes with the
name, how. `leanformer.core.codec` looks here before it decodes a table, so that nothing else has
to know the old names. A row stays for one version.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Renamed:
    """What became of a field.

    Attributes:
        new: What it is called now.
        convert: From the old value to the new one.
    """

    new: str
    convert: Callable[[Any], Any] = lambda value: value


FIELDS: dict[str, dict[str, Renamed]] = {
    "TrainSetup": {
        "micro_tokens": Renamed("max_tokens_per_microbatch"),
        "start": Renamed("start_fraction"),
        "clip": Renamed("max_grad_norm"),
        "patience": Renamed("early_stopping_patience"),
    },
}
"""Name of a class -> name that one of its fields had -> what became of it."""


def with_new_names(cls: type, table: dict[str, Any], place: str) -> dict[str, Any]:
    """`table` with the fields of `cls` by their present names.

    Args:
        cls: The dataclass that the table describes; rows of the classes it derives from count too.
        table: What the file holds.
        place: Where it stands, for messages.

    Raises:
        ValueError: A field stands there by both names.
    """
    rows = {old: row for base in cls.__mro__ for old, row in FIELDS.get(base.__name__, {}).items()}
    found = {old: rows[old] for old in table if old in rows}
    if not found:
        return table
    current = {key: value for key, value in table.items() if key not in found}
    for old, row in found.items():
        where = f"{place}.{old}" if place else old
        if row.new in current:
            raise ValueError(f"{where}: it is called {row.new} now, which is given too; remove it")
        warnings.warn(f"{where} is called {row.new} now", FutureWarning, stacklevel=2)
        current[row.new] = row.convert(table[old])
    return current
