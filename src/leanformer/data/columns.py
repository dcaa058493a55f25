"""From rows with columns to examples with a task, refusing what would spoil the work later.

Every refusal names the split and the row (1 = the first row of data), and comes before a model is
loaded.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from leanformer.core.shown import shown
from leanformer.data.chosen_columns import Columns, choose_columns
from leanformer.data.queries import check_groups, groups_of, to_one
from leanformer.data.table import Row
from leanformer.data.task import Dataset, Examples, Task
from leanformer.tasks import kind_named
from leanformer.tasks.labels import is_number, written
from leanformer.text.texts import repair

_SHOWN = 3  # values that an error names


def to_dataset(name: str, rows: dict[str, list[Row]], columns: Columns) -> Dataset:
    """The checked data set behind `rows`: split -> rows.

    Raises:
        ValueError: A column is missing, a text is empty, a label is unknown, there is one class
            only, a score is not a finite number (the message names split and row), or the task has
            no such metric.
    """
    first = rows["train"][0]
    if "words" in first and "tags" in first:
        return _of_words(name, rows, columns)
    chosen = columns_of(first, columns)
    about = kind_named(kind_of(rows["train"], chosen))
    if about.reads_words:
        raise ValueError(
            f"kind = {about.technique} needs a .conll file, or jsonl rows with `words` and `tags`"
        )
    label = None if about.form is None else chosen.label
    columns = replace(chosen, kind=about.technique, label=label, metric=columns.metric)
    task = _task(rows["train"], columns)
    splits = {
        split: _examples(split, rows[split], columns, task) for split in ("train", "dev", "test")
    }
    if about.form is not None and about.form.to_one:
        splits = to_one(splits)
    for split in ("dev", "test") if about.grouped else ():
        check_groups(split, splits[split])
    return Dataset(name=name, task=task, unlabelled=_unlabelled(rows, columns, task), **splits)


def columns_of(first: Row, columns: Columns) -> Columns:
    """The columns to read of rows like `first`, with the kind that was asked for.

    Raises:
        ValueError: A column is missing, or the task needs one that is not recognised.
    """
    about = kind_named(columns.kind) if columns.kind is not None else None
    return replace(choose_columns(first, columns, about), kind=columns.kind, metric=columns.metric)


def kind_of(train: list[Row], columns: Columns) -> str:
    """The kind of task: as asked for, or told from the labels of the training rows.

    Raises:
        ValueError: A row has no label, or the labels may be classes or numbers.
    """
    return columns.kind or _guess(train, columns.label)


def _guess(train: list[Row], label: str | None) -> str:
    """Regression where labels are numbers with fractions, classification where they are names, and
    multi-label where they are lists of names."""
    if label is None:
        return "embedding"
    if isinstance(train[0].get(label), list):
        return "multi-label"
    values = []
    for number, row in enumerate(train, 1):
        with _named("train", number):
            values.append(written(row, label))
    numbers = all(is_number(value) for value in values)  # a NaN among scores is a bad score
    fractions = any(not value.lstrip("-").isdigit() for value in values)
    if numbers and fractions and all(map(_is_whole, values)):
        named = ", ".join(sorted(set(values))[:_SHOWN])
        raise ValueError(
            f"column {shown(label)} holds whole numbers written as {named}, which may be "
            "classes or "
            "numbers; say which: --task classification or --task regression"
        )
    return "regression" if numbers and fractions else "classification"


def _is_whole(value: str) -> bool:
    return math.isfinite(float(value)) and float(value).is_integer()


def _task(train: list[Row], columns: Columns) -> Task:
    """The task, with the names of the labels in the training rows."""
    assert columns.kind is not None
    form, names = kind_named(columns.kind).form, tuple[str, ...]()
    if form is not None:
        assert columns.label is not None
        found = []
        for number, row in enumerate(train, 1):
            with _named("train", number):
                found.append(form.read(row, columns.label))
        with _named("train"):
            names = form.names(found, columns.label)
    return Task(kind=columns.kind, labels=names, metric=columns.metric or "")


def _examples(split: str, rows: list[Row], columns: Columns, task: Task) -> Examples:
    assert columns.text is not None
    form = task.about.form
    absent = columns.label is not None and columns.label not in rows[0]
    if absent and not (form is not None and form.several):
        raise ValueError(
            f"{split}: no column {shown(columns.label)}; there are: {', '.join(rows[0])}"
        )
    texts = [_text(split, number, row, columns.text) for number, row in enumerate(rows, 1)]
    pairs = columns.pair and [
        _text(split, number, row, columns.pair) for number, row in enumerate(rows, 1)
    ]
    if task.about.pairs == "split" and pairs:  # a vector is of one text: both are learned from
        return Examples(texts=texts + pairs)
    labels = columns.label and _labels(split, rows, columns.label, task)
    groups = groups_of(split, rows, columns.query_id, texts) if task.about.grouped else None
    return Examples(texts=texts, pairs=pairs or None, labels=labels or None, groups=groups)


def _labels(split: str, rows: list[Row], column: str, task: Task) -> list[Any]:
    """The label of each row, as the task keeps it."""
    form, found = task.about.form, []
    assert form is not None
    for number, row in enumerate(rows, 1):
        with _named(split, number):
            found.append(form.parse(form.read(row, column), task.labels))
    return found


@contextmanager
def _named(split: str, number: int | None = None) -> Iterator[None]:
    """Put split and row before the message of an error."""
    try:
        yield
    except ValueError as error:
        row = "" if number is None else f" row {number}"
        raise ValueError(f"{split}{row}: {error}") from error


def _text(split: str, number: int, row: Row, column: str) -> str:
    if column not in row:
        raise ValueError(
            f"{split} row {number}: no column {shown(column)}; there are: {', '.join(row)}"
        )
    value = row[column]
    if not isinstance(value, str):
        raise ValueError(f"{split} row {number}: {column} is {shown(value)}, not a text")
    if not value.strip():
        raise ValueError(
            f"{split} row {number}: {column} is empty; remove the row or give it a text"
        )
    return repair(value)


def _unlabelled(rows: dict[str, list[Row]], columns: Columns, task: Task) -> Examples | None:
    found = rows.get("unlabelled")
    if not found:
        return None
    names = (
        Columns(text=columns.text)
        if columns.text in found[0]
        else choose_columns(found[0], Columns())
    )
    pair = columns.pair if columns.pair in found[0] else None
    if columns.pair is not None and pair is None and task.about.pairs != "split":
        raise ValueError(
            f"unlabelled: no column {shown(columns.pair)}; the task has pairs, so its unlabelled "
            "rows need both texts"
        )
    query_id = columns.query_id if columns.query_id in found[0] else None
    chosen = Columns(text=names.text, pair=pair, query_id=query_id)
    return _examples("unlabelled", found, chosen, task)


def _of_words(name: str, rows: dict[str, list[Row]], columns: Columns) -> Dataset:
    """The data set of a task that labels words."""
    kind = columns.kind or "tokens"
    if not kind_named(kind).reads_words:
        raise ValueError(f"--task {kind}: the file has words with tags; that is --task tokens")
    for split in ("train", "dev", "test"):
        _check_tagged(split, rows[split])
    task = _task(rows["train"], replace(columns, kind=kind, label="tags"))
    splits = {split: _tagged(split, rows[split], task) for split in ("train", "dev", "test")}
    extra = _spare(rows["unlabelled"]) if "unlabelled" in rows else None
    return Dataset(name=name, task=task, unlabelled=extra, **splits)


def _spare(rows: list[Row]) -> Examples:
    """Unlabelled sentences, as words."""
    whole = [{"text": row.get("text") or " ".join(row.get("words", []))} for row in rows]
    texts = [_text("unlabelled", number, row, "text") for number, row in enumerate(whole, 1)]
    return Examples(texts=texts, words=[text.split() for text in texts])


def _check_tagged(split: str, rows: list[Row]) -> None:
    for number, row in enumerate(rows, 1):
        if not (isinstance(row.get("words"), list) and isinstance(row.get("tags"), list)):
            raise ValueError(
                f"{split} row {number}: the task has words with tags, and this row has "
                f"{', '.join(row)}; give it a list of words and a list of tags"
            )


def _tagged(split: str, rows: list[Row], task: Task) -> Examples:
    words: list[list[str]] = []
    for number, row in enumerate(rows, 1):
        if not all(str(word).strip() for word in row["words"]):
            raise ValueError(f"{split} row {number}: an empty word; remove it with its tag")
        words.append([repair(str(word)) for word in row["words"]])
    labels = _labels(split, rows, "tags", task)
    return Examples(texts=[" ".join(row) for row in words], words=words, labels=labels)
