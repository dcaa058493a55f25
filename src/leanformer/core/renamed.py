"""Fields that were called something else, and short forms of fields of a nested table.

A row of the table names a class, the old field, the new one, and where the value changes with the
name, how. A field that went into a nested technique is named by its path:

    train.weight_decay = 0.1   ->   train.optimizer = { use = "adamw", weight_decay = 0.1 }

`leanformer.core.codec` looks here before it decodes a table, so that nothing else has to know the
old names. A row stays for one version, or for good where the short form is right too.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Renamed:
    """What became of a field.

    Attributes:
        new: What it is called now; "optimizer.weight_decay" is a field of a nested technique.
        convert: From the old value to the new one.
        technique: The nested technique, where the table does not name one.
        short: Whether the old name stays right, as a short form that is read without a note.
    """

    new: str
    convert: Callable[[Any], Any] = lambda value: value
    technique: str = ""
    short: bool = False


FIELDS: dict[str, dict[str, Renamed]] = {
    "TrainSetup": {
        "micro_tokens": Renamed("max_tokens_per_microbatch"),
        "start": Renamed("start_fraction"),
        "clip": Renamed("max_grad_norm"),
        "patience": Renamed("early_stopping_patience"),
        "learning_rate": Renamed("optimizer.learning_rate", technique="adamw", short=True),
        "weight_decay": Renamed("optimizer.weight_decay", technique="adamw"),
        "warmup": Renamed("schedule.warmup", technique="linear"),
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
        _put(current, row, row.convert(table[old]), where)
        if not row.short:
            warnings.warn(f"{where} is called {row.new} now", FutureWarning, stacklevel=2)
    return current


def _put(table: dict[str, Any], row: Renamed, value: Any, where: str) -> None:
    """Put a value into `table` under its present name, which may be a path of two."""
    outer, _, inner = row.new.rpartition(".")
    if outer:
        nested = table.get(outer, {})
        nested = {"use": nested} if isinstance(nested, str) else nested
        if not isinstance(nested, dict):
            return  # no table: refused where it is decoded
        table[outer] = table = {"use": row.technique, **nested}
    if inner in table:
        now = f"short for {row.new}" if row.short else f"called {row.new} now"
        raise ValueError(f"{where}: it is {now}, which is given too; remove one of the two")
    table[inner] = value
