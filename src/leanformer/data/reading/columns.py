"""From rows with columns to examples with a task, refusing what would spoil the work later.

Every refusal names the row, as the user's file has it, and comes before a model is loaded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from leanformer.core.shown import one_line, shown
from leanformer.data.chosen_columns import Columns, choose_columns, columns_in
from leanformer.data.origin import Origin, columns_read
from leanformer.data.reading.guesses import check_guesses, told_kind
from leanformer.data.reading.queries import check_groups, groups_of, to_one
from leanformer.data.reading.relations import check_related, relations, with_negatives
from leanformer.data.reading.words import sentences, word_columns
from leanformer.data.rows import Row, places, places_in_short
from leanformer.data.task import Dataset, Examples, Task
from leanformer.tasks import kind_named
from leanformer.tasks.labels import MissingLabel, written
from leanformer.text.texts import repair

_SHOWN = 3  # values that an error names


def to_dataset(
    name: str, rows: dict[str, list[Row]], columns: Columns, origin: Origin | None = None
) -> Dataset:
    """The checked data set behind `rows`: split -> rows.

    Args:
        name: How reports call it.
        rows: The rows of each split.
        columns: The columns, asked for or chosen already; what is None is found.
        origin: Where the rows came from, without the columns that are read of them.

    Raises:
        ValueError: A column is missing, a text is empty, a label is unknown, there is one class
            only, a score is not a finite number (the message names split and row), or the task has
            no such metric.
    """
    first = rows["train"][0]
    if (words := word_columns(first, columns)) is not None:
        return _of_words(name, rows, words, origin)
    chosen = columns_of(rows["train"], columns)
    assert chosen.kind is not None
    about = kind_named(chosen.kind)
    if about.reads_words:
        raise ValueError(
            f"kind = {about.technique} needs a .conll file, or rows with lists of `words` "
            "and `tags` (`tokens` and `ner_tags`, …); other columns: --text and --label"
        )
    related = about.pairs == "split" and chosen.pair is not None
    label = None if about.form is None and not related else chosen.label
    columns = replace(chosen, kind=about.technique, label=label, metric=columns.metric)
    task = _task(rows["train"], columns)
    splits = {
        split: _examples(split, rows[split], columns, task) for split in ("train", "dev", "test")
    }
    if about.form is not None and about.form.to_one:
        splits = to_one(splits)
    for split in ("dev", "test") if about.grouped else ():
        check_groups(split, splits[split])
    extra = _unlabelled(rows, columns, task)
    from_ = _with_columns(origin, rows["train"], columns)
    return Dataset(name=name, task=task, unlabelled=extra, origin=from_, **splits)


def _with_columns(origin: Origin | None, train: list[Row], columns: Columns) -> Origin | None:
    if origin is None:
        return None
    read, unread = columns_read(columns, columns_in(train))
    return replace(origin, columns=read, unread=unread)


def columns_of(train: list[Row], columns: Columns) -> Columns:
    """The columns to read of rows like `train`, with the kind of task, asked for or told.

    Raises:
        ValueError: A column is missing, the task needs one that is not recognised, a row has no
            label, or what was not asked for cannot be told for certain.
    """
    about = kind_named(columns.kind) if columns.kind is not None else None
    present = columns_in(train)
    check_related(columns, present)
    chosen = choose_columns(present, columns, about)
    if about is not None and about.pairs == "split":
        chosen = with_negatives(chosen, present)
    check_guesses(train, columns, chosen)
    kind = columns.kind or _told(train, chosen)
    return replace(chosen, kind=kind, metric=columns.metric)


def _told(train: list[Row], columns: Columns) -> str:
    """The kind of task that is told from the labels of the training rows."""
    label = columns.label
    if label is None:
        return "embedding"

    def read(row: Row) -> Any:
        value = row.get(label)
        return value if isinstance(value, list) else written(row, label)

    return told_kind(train, columns, _each("train", train, read))


def _task(train: list[Row], columns: Columns) -> Task:
    """The task, with the names of the labels in the training rows."""
    assert columns.kind is not None
    form, names = kind_named(columns.kind).form, tuple[str, ...]()
    if form is not None:
        label = columns.label
        assert label is not None
        found = _each("train", train, lambda row: form.read(row, label))
        with _named("train"):
            names = form.names(found, label)
    return Task(kind=columns.kind, labels=names, metric=columns.metric or "")


def _examples(split: str, rows: list[Row], columns: Columns, task: Task) -> Examples:
    assert columns.text is not None
    form = task.about.form
    absent = columns.label is not None and not any(columns.label in row for row in rows)
    if absent and form is not None and not form.several:
        raise ValueError(
            f"{split}: no column {columns.label!r}; there are: {one_line(', '.join(rows[0]), 200)}"
        )
    texts = [_text(place, row, columns.text) for place, row in places(split, rows)]
    pairs = columns.pair and [_text(place, row, columns.pair) for place, row in places(split, rows)]
    if task.about.pairs == "split":  # a vector is of one text: all are learned from
        return _of_vectors(split, rows, columns, texts, pairs or [])
    labels = columns.label and _labels(split, rows, columns.label, task)
    groups = groups_of(split, rows, columns.query_id, texts) if task.about.grouped else None
    return Examples(texts=texts, pairs=pairs or None, labels=labels or None, groups=groups)


def _of_vectors(
    split: str, rows: list[Row], columns: Columns, texts: list[str], pairs: list[str]
) -> Examples:
    """All the texts of a split, and which of them belong together."""
    if not pairs:
        return Examples(texts=texts)
    found = relations(split, rows, columns, texts, pairs)
    known = {*texts, *pairs}
    spare = dict.fromkeys(text for own in found.negatives for text in own if text not in known)
    return Examples(texts=[*texts, *pairs, *spare], relations=found)


def _labels(split: str, rows: list[Row], column: str, task: Task) -> list[Any]:
    """The label of each row, as the task keeps it."""
    form = task.about.form
    assert form is not None
    return _each(split, rows, lambda row: form.parse(form.read(row, column), task.labels))


def _each(split: str, rows: list[Row], read: Callable[[Row], Any]) -> list[Any]:
    """What `read` finds in each row; rows without a label are refused together."""
    found, missing = list[Any](), list[str]()
    for place, row in places(split, rows):
        try:
            with _named(place):
                found.append(read(row))
        except MissingLabel as error:
            missing.append(place)
            lacking = error
    if missing:
        raise _without(lacking, split, missing, len(rows))
    return found


def _without(error: MissingLabel, split: str, missing: list[str], rows: int) -> ValueError:
    """The refusal of rows without a label: which, and how many."""
    if len(missing) == 1:
        return ValueError(f"{missing[0]}: {error}")
    said = places_in_short(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
    return ValueError(
        f"{split}: {error.column} is missing in {len(missing)} of {rows} rows ({said}); "
        f"give each row {error.way}"
    )


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Put the place before the message of an error."""
    try:
        yield
    except MissingLabel:
        raise
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _text(place: str, row: Row, column: str) -> str:
    if column not in row:
        raise ValueError(
            f"{place}: no column {column!r}; there are: {one_line(', '.join(row), 200)}"
        )
    value = row[column]
    if not isinstance(value, str):
        raise ValueError(f"{place}: {column} is {shown(value)}, not a text")
    if not value.strip():
        raise ValueError(f"{place}: {column} is empty; remove the row or give it a text")
    return repair(value)


def _unlabelled(rows: dict[str, list[Row]], columns: Columns, task: Task) -> Examples | None:
    found = rows.get("unlabelled")
    if not found:
        return None
    names = (
        Columns(text=columns.text)
        if columns.text in found[0]
        else choose_columns(columns_in(found), Columns())
    )
    pair = columns.pair if columns.pair in found[0] else None
    if columns.pair is not None and pair is None and task.about.pairs != "split":
        raise ValueError(
            f"unlabelled: no column {columns.pair!r}; the task has pairs, so its unlabelled "
            "rows need both texts"
        )
    query_id = columns.query_id if columns.query_id in found[0] else None
    chosen = Columns(text=names.text, pair=pair, query_id=query_id)
    return _examples("unlabelled", found, chosen, task)


def _of_words(
    name: str, rows: dict[str, list[Row]], columns: Columns, origin: Origin | None
) -> Dataset:
    """The data set of a task that labels words."""
    tagged = {split: sentences(split, rows[split], columns) for split in ("train", "dev", "test")}
    task = _task(tagged["train"], columns)
    splits = {split: _tagged(split, own, columns, task) for split, own in tagged.items()}
    extra = _spare(rows["unlabelled"], columns) if "unlabelled" in rows else None
    from_ = _with_columns(origin, rows["train"], columns)
    return Dataset(name=name, task=task, unlabelled=extra, origin=from_, **splits)


def _spare(rows: list[Row], columns: Columns) -> Examples:
    """Unlabelled sentences: as words, or as texts that are split into words."""
    found = []
    for place, row in places("unlabelled", rows):
        words = row.get(columns.text or "", row.get("words"))
        if isinstance(words, list):
            row = {"text": " ".join(map(str, words))}
        text = choose_columns(list(row), Columns()).text
        assert text is not None
        found.append(_text(place, row, text))
    return Examples(texts=found, words=[text.split() for text in found])


def _tagged(split: str, rows: list[Row], columns: Columns, task: Task) -> Examples:
    assert columns.label is not None
    words = [[repair(word) for word in row["words"]] for row in rows]
    labels = _labels(split, rows, columns.label, task)
    return Examples(texts=[" ".join(row) for row in words], words=words, labels=labels)
