"""Texts to be answered or timed, from a file; every line counts, and errors name the row.

A column may be missing in a later row of a jsonl file, a text may be a number, a line may be blank.
Each is reported by its line or row in the file before a model is opened.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanformer.core.shown import one_line
from leanformer.data.formats.table import read_rows
from leanformer.data.rows import Row
from leanformer.text.texts import refusal, repair

EMPTY = "empty"


@dataclass(frozen=True, kw_only=True)
class Input:
    """One row of a file.

    Attributes:
        place: Where the row stands, e.g. "texts.tsv:3".
        row: Its columns; empty for a blank line.
        text: The text, or None where it cannot be read.
        pair: The second text, or None.
        error: Why it cannot be read: `EMPTY`, or what is wrong; "" where it can.
    """

    place: str
    row: Row
    text: str | None = None
    pair: str | None = None
    error: str = ""


def read_inputs(path: Path, text: str = "text", pair: str | None = None) -> list[Input]:
    """Every line of a file, in order, blank ones included.

    Args:
        path: In any format of `table`.
        text: Column of the text.
        pair: Column of the second text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or no row has the columns.
    """
    rows = read_rows(path, blank=True)
    columns = {"--text": text} if pair is None else {"--text": text, "--pair": pair}
    first = next((row for row in rows if row), Row())
    for option, column in columns.items():
        if not any(column in row for row in rows):
            raise ValueError(
                f"{path}: no column {column!r}; there are: {one_line(', '.join(first), 200)}; "
                f"name it: {option}"
            )
    return [_input(row, list(columns.values())) for row in rows]


def read_texts(
    path: Path, text: str = "text", pair: str | None = None
) -> tuple[list[str], list[str] | None]:
    """The texts of a file and their second texts; blank lines are left out.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or a row has no such text; the row is named.
    """
    inputs = [one for one in read_inputs(path, text, pair) if one.error != EMPTY]
    refuse(inputs)
    texts = [one.text for one in inputs if one.text is not None]
    pairs = [one.pair for one in inputs if one.pair is not None]
    return texts, None if pair is None else pairs


def refuse(inputs: list[Input], hint: str = "") -> None:
    """Refuse the first row that cannot be read, other than for being empty.

    Raises:
        ValueError: There is one; its place and the reason are named.
    """
    for one in inputs:
        if one.error not in ("", EMPTY):
            raise ValueError(f"{one.place}: {one.error}{hint}")


def _input(row: Row, columns: list[str]) -> Input:
    values: list[Any] = [row.get(column) for column in columns]
    if not row or all(isinstance(value, str) and not value.strip() for value in values):
        return Input(place=row.place, row=row, error=EMPTY)
    for column, value in zip(columns, values, strict=True):
        if column not in row:
            return Input(place=row.place, row=row, error=f"no column {column!r}")
        if isinstance(value, str) and not value.strip():
            return Input(place=row.place, row=row, error=f"{column} is empty")
        if reason := refusal(value):
            return Input(place=row.place, row=row, error=f"{column} {reason}")
    found = [repair(value) for value in values]
    return Input(place=row.place, row=row, text=found[0], pair=found[1] if len(found) > 1 else None)
