"""Texts that are ranked by query: which rows belong together, and what their grades are."""

from dataclasses import replace
from typing import Any

from leanformer.data.rows import Row, places
from leanformer.data.task import Examples


def groups_of(split: str, rows: list[Row], column: str | None, queries: list[str]) -> list[str]:
    """The query of each row: its id, or its text where there is no column of ids.

    Raises:
        ValueError: A row has no id.
    """
    if column is None:
        return queries
    found = []
    for place, row in places(split, rows):
        if not str(row.get(column, "")).strip():
            raise ValueError(f"{place}: {column} is missing; give each row its query's id")
        found.append(str(row[column]))
    return found


def check_groups(split: str, examples: Examples) -> None:
    """Refuse a split in which nothing can be ranked.

    Raises:
        ValueError: No query has two texts of different grades.
    """
    grades: dict[str, set[Any]] = {}
    for query, grade in zip(examples.groups or [], examples.labels or [], strict=True):
        grades.setdefault(query, set()).add(grade)
    if all(len(own) < 2 for own in grades.values()):
        raise ValueError(
            f"{split}: no query has two texts of different grades, so that there is nothing to "
            "rank; is the column of the query, or of its id (query_id), the right one?"
        )


def to_one(splits: dict[str, Examples]) -> dict[str, Examples]:
    """The splits with their labels divided by the largest one in train."""
    numbers: Any = {split: examples.labels for split, examples in splits.items()}
    largest = max(numbers["train"])
    return {
        split: replace(examples, labels=[number / largest for number in numbers[split]])
        for split, examples in splits.items()
    }
