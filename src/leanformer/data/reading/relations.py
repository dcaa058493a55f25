"""Rows of texts that belong together, for models that make vectors: pairs, negatives, scores.

Negatives and a teacher's scores stand in one column that holds lists (jsonl, Parquet), or in
several columns that are named with commas between them: "negative_1,negative_2". A cell without a
text is left out.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from leanformer.core.shown import one_line, shown
from leanformer.core.technique import nearest
from leanformer.data.chosen_columns import Columns, usual_name
from leanformer.data.relations import Relations
from leanformer.data.rows import Row, places
from leanformer.tasks.labels import MissingLabel, is_number, written
from leanformer.text.texts import repair

_NEGATIVE = re.compile(r"negatives?(_?\d+)?")


def with_negatives(chosen: Columns, present: Sequence[str]) -> Columns:
    """The columns with those of usual names of negatives: negative, negatives, negative_1, …

    Raises:
        ValueError: Negatives or scores were asked for, and there is no second text.
    """
    if chosen.pair is None:
        for field in ("negatives", "scores"):
            if getattr(chosen, field) is not None:
                raise ValueError(
                    f"{field}: there is no second text, which {field} stand beside; name it: pair"
                )
        return chosen
    found = [name for name in present if _NEGATIVE.fullmatch(usual_name(name))]
    return replace(chosen, negatives=chosen.negatives or ",".join(found) or None)


def check_related(columns: Columns, present: Sequence[str]) -> None:
    """Refuse columns of negatives or scores that are not there.

    Raises:
        ValueError: There is one.
    """
    for field in ("negatives", "scores"):
        asked = getattr(columns, field)
        for name in asked.split(",") if asked else ():
            if name not in present:
                raise ValueError(
                    f"{field}: there is no column {name!r}{nearest(name, list(present))}; there "
                    f"are: {one_line(', '.join(present), 200)}"
                )


def relations(
    split: str, rows: list[Row], columns: Columns, texts: list[str], pairs: list[str]
) -> Relations:
    """The rows of a split as texts that belong together.

    Args:
        split: Its name.
        rows: Its rows.
        columns: The columns that are read.
        texts: The first text of each row.
        pairs: The second text of each row.

    Raises:
        ValueError: A negative is not a text, a score is not a finite number, or a row has not one
            score per text that is scored; the message names the row.
    """
    given = list(places(split, rows))
    negatives = [_texts(place, row, columns.negatives) for place, row in given]
    scores = None
    if columns.scores is not None:
        scores = tuple(
            _scores(place, row, columns.scores, 1 + len(own))
            for (place, row), own in zip(given, negatives, strict=True)
        )
    labels = None
    if columns.label is not None:
        labels = tuple(_label(row, columns.label) for row in rows)
    return Relations(
        anchors=tuple(texts),
        positives=tuple(pairs),
        negatives=tuple(negatives),
        labels=labels,
        scores=scores,
    )


def _label(row: Row, column: str) -> str:
    """The label of a row; "" where it has none, which whoever learns from labels refuses."""
    try:
        return written(row, column)
    except MissingLabel:
        return ""


def _cells(row: Row, column: str) -> list[tuple[str, Any]]:
    """What the columns hold, lists taken apart, each with its column; without empty cells."""
    found: list[tuple[str, Any]] = []
    for name in column.split(","):
        value = row.get(name)
        found += [(name, one) for one in (value if isinstance(value, list) else [value])]
    return [(name, one) for name, one in found if one is not None and str(one).strip()]


def _texts(place: str, row: Row, column: str | None) -> tuple[str, ...]:
    found = []
    for name, value in _cells(row, column) if column else ():
        if not isinstance(value, str):
            raise ValueError(f"{place}: {name} is {shown(value)}, not a text")
        found.append(repair(value))
    return tuple(found)


def _scores(place: str, row: Row, column: str, candidates: int) -> tuple[float, ...]:
    found = []
    for name, value in _cells(row, column):
        number = float(value) if is_number(str(value)) else math.nan
        if not math.isfinite(number):
            raise ValueError(f"{place}: {name} is {shown(value)}, not a finite number")
        found.append(number)
    if len(found) != candidates:
        raise ValueError(
            f"{place}: {len(found)} scores for {candidates} texts; give one for the second text "
            "and one for each negative, in this order"
        )
    return tuple(found)
