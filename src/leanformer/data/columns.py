"""From rows with columns to examples with a task, refusing what would spoil the work later.

Every refusal names the split and the row (1 = the first row of data), and comes before a model is
loaded.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from leanformer.core.label_order import sort_labels
from leanformer.core.technique import nearest
from leanformer.data.table import Row
from leanformer.data.task import Dataset, Examples, Kind, Task
from leanformer.text.texts import repair

_TEXT = ("text", "sentence", "sentence1", "premise", "question", "query", "utterance", "content")
_PAIR = ("pair", "text2", "sentence2", "hypothesis", "passage", "document")
_LABEL = ("label", "labels", "score", "intent", "category", "target", "coarse", "class")
_CLASSES = 1000  # more distinct labels than this is a sign of the wrong column


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns to use; None = found by their usual names.

    Attributes:
        kind: Kind of task; None = told from the columns.
        text: Column of the text.
        pair: Column of the second text.
        label: Column of the label.
        metric: What the task is judged by; None = the default of its kind.
    """

    kind: Kind | None = None
    text: str | None = None
    pair: str | None = None
    label: str | None = None
    metric: str | None = None


def to_dataset(name: str, rows: dict[str, list[Row]], columns: Columns) -> Dataset:
    """The checked data set behind `rows`: split -> rows.

    Raises:
        ValueError: A column is missing, a text is empty, a label is unknown, there is one class
            only, a score is not a finite number (the message names split and row), or the task has
            no such metric.
    """
    first = rows["train"][0]
    if "words" in first and "tags" in first:
        return _tokens(name, rows, columns)
    chosen = _choose(first, columns)
    kind = columns.kind or _guess(rows["train"], chosen.label)
    if kind == "tokens":
        raise ValueError("kind = tokens needs a .conll file, or jsonl rows with `words` and `tags`")
    labels = _labels(rows["train"], chosen.label) if kind == "classification" else ()
    task = Task(kind=kind, labels=labels, metric=columns.metric or "")
    label = None if kind in ("embedding", "masked-lm") else chosen.label
    splits = {
        split: _examples(
            split, rows[split], Columns(text=chosen.text, pair=chosen.pair, label=label), task
        )
        for split in ("train", "dev", "test")
    }
    return Dataset(name=name, task=task, unlabelled=_unlabelled(rows, chosen, task), **splits)


def _choose(first: Row, columns: Columns) -> Columns:
    """The columns to read, asked for or found."""
    present = list(first)
    for field in ("text", "pair", "label"):
        asked = getattr(columns, field)
        if asked is not None and asked not in present:
            raise ValueError(
                f"--{field} {asked}: there is no such column{nearest(asked, present)}; "
                f"there are: {', '.join(present)}"
            )
    text = columns.text or next((key for key in _TEXT if key in present), None)
    if text is None:
        raise ValueError(
            f"no column of text is recognised among {', '.join(present)}; name it: --text"
        )
    pair = columns.pair or (
        None if columns.text else next((k for k in _PAIR if k in present), None)
    )
    label = columns.label or next((key for key in _LABEL if key in present), None)
    if label is None and columns.kind in ("classification", "regression"):
        raise ValueError(
            f"no column of labels is recognised among {', '.join(present)}; name it: --label"
        )
    return Columns(text=text, pair=pair, label=label)


def _guess(train: list[Row], label: str | None) -> Kind:
    """Regression where labels are numbers with fractions, classification where they are names."""
    if label is None:
        return "embedding"
    values = [_written("train", number, row, label) for number, row in enumerate(train, 1)]
    numbers = all(_is_float(value) for value in values)  # a NaN among scores is a bad score
    fractions = any(not value.lstrip("-").isdigit() for value in values)
    return "regression" if numbers and fractions else "classification"


def _labels(train: list[Row], label: str | None) -> tuple[str, ...]:
    assert label is not None
    counts = Counter(_written("train", number, row, label) for number, row in enumerate(train, 1))
    if len(counts) < 2:
        raise ValueError(
            f"train: column {label!r} has one class only ({next(iter(counts))!r}); "
            "classification needs two or more"
        )
    if len(counts) > _CLASSES:
        raise ValueError(
            f"train: column {label!r} has {len(counts)} different labels; is it the right column? "
            "For numbers add --task regression"
        )
    return sort_labels(counts)


def _examples(split: str, rows: list[Row], columns: Columns, task: Task) -> Examples:
    assert columns.text is not None
    if columns.label is not None and columns.label not in rows[0]:
        raise ValueError(f"{split}: no column {columns.label!r}; there are: {', '.join(rows[0])}")
    texts = [_text(split, number, row, columns.text) for number, row in enumerate(rows, 1)]
    pairs = columns.pair and [
        _text(split, number, row, columns.pair) for number, row in enumerate(rows, 1)
    ]
    labels: Any = columns.label and [
        _label(split, number, _written(split, number, row, columns.label), task)
        for number, row in enumerate(rows, 1)
    ]
    if task.kind == "embedding" and pairs:  # a vector is of one text: both are learnt from
        return Examples(texts=texts + pairs)
    return Examples(texts=texts, pairs=pairs or None, labels=labels)


def _text(split: str, number: int, row: Row, column: str) -> str:
    if column not in row:
        raise ValueError(f"{split} row {number}: no column {column!r}; there are: {', '.join(row)}")
    value = row[column]
    if not isinstance(value, str):
        raise ValueError(f"{split} row {number}: {column} is {value!r}, not a text")
    if not value.strip():
        raise ValueError(
            f"{split} row {number}: {column} is empty; remove the row or give it a text"
        )
    return repair(value)


def _written(split: str, number: int, row: Row, column: str) -> str:
    """The label of a row as it is written."""
    value = row.get(column)
    if value is None or not str(value).strip():
        raise ValueError(
            f"{split} row {number}: {column} is missing; give the row one, or move its text to the "
            "unlabelled file"
        )
    return str(value)


def _label(split: str, number: int, value: str, task: Task) -> int | float:
    if task.kind == "regression":
        if not _is_float(value) or not math.isfinite(float(value)):
            raise ValueError(f"{split} row {number}: score {value!r} is not a finite number")
        return float(value)
    if value not in task.labels:
        raise ValueError(
            f"{split} row {number}: label {value!r} is not among the training labels"
            f"{nearest(value, list(task.labels))}"
        )
    return task.labels.index(value)


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unlabelled(rows: dict[str, list[Row]], columns: Columns, task: Task) -> Examples | None:
    found = rows.get("unlabelled")
    if not found:
        return None
    names = Columns(text=columns.text) if columns.text in found[0] else _choose(found[0], Columns())
    pair = columns.pair if columns.pair in found[0] else None
    if columns.pair is not None and pair is None and task.kind != "embedding":
        raise ValueError(
            f"unlabelled: no column {columns.pair!r}; the task has pairs, so its unlabelled "
            "rows need both texts"
        )
    return _examples("unlabelled", found, Columns(text=names.text, pair=pair), task)


def _tokens(name: str, rows: dict[str, list[Row]], columns: Columns) -> Dataset:
    if columns.kind not in (None, "tokens"):
        raise ValueError(
            f"--task {columns.kind}: the file has words with tags; that is --task tokens"
        )
    for split in ("train", "dev", "test"):
        _check_tagged(split, rows[split])
    labels = sort_labels({str(tag) for row in rows["train"] for tag in row["tags"]})
    if len(labels) < 2:
        raise ValueError(
            f"train: one tag only ({labels[0]!r}); token classification needs two or more"
        )
    task = Task(kind="tokens", labels=labels, metric=columns.metric or "")
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
    index = {label: position for position, label in enumerate(task.labels)}
    words: list[list[str]] = []
    labels: list[list[int]] = []
    for number, row in enumerate(rows, 1):
        if len(row["words"]) != len(row["tags"]) or not row["words"]:
            raise ValueError(
                f"{split} row {number}: {len(row['words'])} words and {len(row['tags'])} tags; "
                "give one tag a word and at least one word"
            )
        for word, tag in zip(row["words"], row["tags"], strict=True):
            if not str(word).strip():
                raise ValueError(f"{split} row {number}: an empty word; remove it with its tag")
            if str(tag) not in index:
                raise ValueError(
                    f"{split} row {number}: tag {tag!r} is not among the training tags"
                    f"{nearest(str(tag), list(task.labels))}"
                )
        words.append([repair(str(word)) for word in row["words"]])
        labels.append([index[str(tag)] for tag in row["tags"]])
    return Examples(texts=[" ".join(row) for row in words], words=words, labels=labels)
