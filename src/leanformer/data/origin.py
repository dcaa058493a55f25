"""Where a data set came from, and what was made of it before anything was counted.

as it was read      files, their rows, the columns that are read and those that are not
as it is used       which splits were split off which, and which rows were left out
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leanformer.data.chosen_columns import Columns

_ROLES = {
    "text": "text",
    "pair": "second text",
    "label": "label",
    "query_id": "query's id",
    "negatives": "negatives",
    "scores": "teacher's scores",
}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a data set was read from, and how.

    Attributes:
        path: What was asked for: a file, a folder, a hub name.
        files: The file of each split, or its shards; empty for what the hub gave.
        kind_asked: Whether the kind of task was asked for; if not, it was told from the columns.
        columns: The column of each thing that is read, e.g. {"text": "question"}.
        unread: Columns of the training rows that nobody reads.
        split_off: Splits that were missing and taken off the training rows.
        left_out: Training rows that `limit` left out.
    """

    path: str
    files: Mapping[str, str] = field(default_factory=dict)
    kind_asked: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    split_off: tuple[str, ...] = ()
    left_out: int = 0


def columns_read(chosen: Columns, present: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What is read of each role, and the columns that nobody reads.

    Args:
        chosen: The columns of the task; None where it has no such.
        present: The columns of the file.
    """
    asked = {role: getattr(chosen, name) for name, role in _ROLES.items()}
    read = {role: column for role, column in asked.items() if column}
    names = {name for column in read.values() for name in (column, *column.split(","))}
    return read, tuple(name for name in present if name not in names)
