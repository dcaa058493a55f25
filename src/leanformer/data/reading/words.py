"""Sentences of words with a tag each: which columns hold them, and every row in one form.

The words are a list, and so are the tags: `tokens` and `ner_tags` on the hub, `words` and `tags` of
a .conll file. Numbers of tags have become names where the data set knows them.
"""

from dataclasses import replace
from typing import Any

from leanformer.core.shown import one_line
from leanformer.core.technique import nearest
from leanformer.data.chosen_columns import TEXT, Columns, found_column, usual_name
from leanformer.data.rows import Row, places
from leanformer.tasks import kind_named

_WORDS = ("words", "tokens")
_OF_TEXTS_TOO = ("labels", "label")  # a list of these may also be the labels of a whole text
_TAGS = ("tags", "ner_tags", "pos_tags", "chunk_tags", "upos", "ner", "pos", *_OF_TEXTS_TOO)


def word_columns(first: Row, columns: Columns) -> Columns | None:
    """The columns of words (as `text`) and of tags (as `label`); None where the rows are texts.

    Args:
        first: The first row of the training split.
        columns: What was asked for.

    Raises:
        ValueError: Several columns may be the tags, the tags may be labels of the whole text, a
            column is missing, or a kind of task is asked for that reads no words.
    """
    lists = [name for name, value in first.items() if isinstance(value, list)]
    words = columns.text or found_column(_WORDS, lists, "--text")
    if words not in lists:
        return None
    whole = [name for name, value in first.items() if isinstance(value, str)]
    text = found_column(TEXT, whole, "--text")
    about = kind_named(columns.kind) if columns.kind is not None else None
    if about is not None and not about.reads_words:
        if text is not None and columns.text is None:
            return None
        raise ValueError(
            f"--task {columns.kind}: the file has words with tags; that is --task tokens"
        )
    tags = _tags(first, columns, [name for name in lists if name != words])
    if tags is None:
        return None
    if columns.kind is None and text is not None and usual_name(tags) in _OF_TEXTS_TOO:
        raise ValueError(
            f"column {tags!r} may hold the tags of {words!r}, or the labels of {text!r}; say "
            "which: --task tokens or --task multi-label"
        )
    return replace(columns, kind=columns.kind or "tokens", text=words, label=tags)


def _tags(first: Row, columns: Columns, lists: list[str]) -> str | None:
    """The column of tags, asked for or the only one with a usual name; None where there is none."""
    if columns.label is not None:
        if columns.label not in first:
            raise ValueError(
                f"--label {columns.label}: there is no such column"
                f"{nearest(columns.label, list(first))}; there are: "
                f"{one_line(', '.join(first), 200)}"
            )
        return columns.label if columns.label in lists else None
    found = [name for name in lists if usual_name(name) in _TAGS]
    if len(found) > 1:
        raise ValueError(
            f"columns {', '.join(map(repr, found))} may all be tags of words; say which: "
            f"--label {found[0]}"
        )
    return found[0] if found else None


def sentences(split: str, rows: list[Row], columns: Columns) -> list[Row]:
    """The rows with their words as `words`, checked; tags keep the name of their column.

    Raises:
        ValueError: A row has no list of words or tags, a word is empty, or a tag is not a name; the
            message says where.
    """
    assert columns.text is not None
    assert columns.label is not None
    found = []
    for place, row in places(split, rows):
        words, tags = row.get(columns.text), row.get(columns.label)
        if not (isinstance(words, list) and isinstance(tags, list)):
            raise ValueError(
                f"{place}: the task has words with tags, and this row has "
                f"{one_line(', '.join(row), 200)}; give "
                f"it a list of words ({columns.text}) and a list of tags ({columns.label})"
            )
        if not all(word is not None and str(word).strip() for word in words):
            raise ValueError(f"{place}: an empty word; remove it with its tag")
        for tag in tags:
            _check_tag(tag, columns.label, place)
        values = {"words": [str(word) for word in words], columns.label: tags}
        read = (row.source, row.number) if isinstance(row, Row) else ("", 0)
        found.append(Row(values, *read))
    return found


def _check_tag(tag: Any, column: str, place: str) -> None:
    if isinstance(tag, str) and tag.strip():
        return
    if isinstance(tag, int):
        raise ValueError(
            f"{place}: {column} holds the number {tag} and not the name of a tag; write the names "
            f'(datasets: features["{column}"].feature.names), or "{tag}" in quotes if that is one'
        )
    raise ValueError(f"{place}: {column} holds {tag!r}; give each word a tag (O outside of names)")
