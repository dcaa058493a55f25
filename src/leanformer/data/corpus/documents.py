"""The documents of one file, one at a time: .txt, .jsonl and .parquet, plain or gzipped.

txt        a document per line; or documents of several lines, with blank lines between them
jsonl      one object per line, the document in one of its columns
parquet    one document per row, read page by page
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from leanformer.core.shown import one_line
from leanformer.core.technique import nearest
from leanformer.data.chosen_columns import TEXT, found_column
from leanformer.data.corpus.lines import MOST, lines
from leanformer.data.formats.objects import json_line
from leanformer.data.formats.parquet import stream_rows
from leanformer.text.texts import refusal, repair

FORMATS = (".txt", ".jsonl", ".parquet")


class Document(NamedTuple):
    """A text and where it comes from.

    Attributes:
        text: Never blank; half characters are U+FFFD.
        place: E.g. "wiki.jsonl:17"; of several lines, the first.
        done: Bytes of the sources, as they lie on the disk, that were read so far.
    """

    text: str
    place: str
    done: int


def format_of(path: Path, formats: Sequence[str] = FORMATS) -> str:
    """The suffix that decides how `path` is read, without `.gz`; "" where it is none of these."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in formats else ""


def documents_of(path: Path, text: str | None = None, between: str = "lines") -> Iterator[Document]:
    """The documents of a file that are not blank.

    Args:
        path: The file.
        text: Column of the text; None = the first of the usual names that is there.
        between: What is between the documents of a .txt file: "lines" (each line is one) or
            "blank-lines".

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The format is unknown, the file is damaged or not UTF-8, there is no such
            column, a document is not a text or is longer than 16 MiB, or there is none at all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    form = format_of(path)
    if not form:
        raise ValueError(f"{path}: unknown format; use {', '.join(FORMATS)}, each plain or .gz")
    if form == ".parquet":
        found = _of_parquet(path, text)
    elif form == ".jsonl":
        found = _of_json(path, text)
    else:
        found = _paragraphs(path) if between == "blank-lines" else _of_lines(path)
    empty = True
    for document in found:
        empty = False
        yield document
    if empty:
        raise ValueError(f"{path}: the file holds no text; give another one, or leave it out")


def column_of(
    present: Sequence[str], asked: str | None, place: object, option: str = "text ="
) -> str:
    """The column of the text: `asked`, or the first of the usual names.

    Args:
        present: The columns that are there.
        asked: What the user named; None = found by its name.
        place: Where the columns are, for messages.
        option: How a user names the column, for messages.

    Raises:
        ValueError: It is not there, or none is recognised; the columns are listed.
    """
    there = one_line(", ".join(present), 200) or "none"
    if asked is not None and asked not in present:
        raise ValueError(
            f"{place}: there is no column {asked!r}{nearest(asked, list(present))}; there are: "
            f"{there}"
        )
    found = asked if asked is not None else found_column(TEXT, present, option)
    if found is None:
        raise ValueError(
            f"{place}: no column of text is recognised among {there}; name it: {option} …"
        )
    return found


def read_value(value: Any, column: str, place: str) -> str:
    """The text in a column; "" where it is blank.

    Raises:
        ValueError: It is not a text, or is longer than 16 MiB.
    """
    if isinstance(value, str):
        if len(value) > MOST:
            raise ValueError(
                f"{place}: {column} has {len(value):,} characters, and a document is held in "
                f"memory; split those of more than {MOST:,}"
            )
        return repair(value) if value.strip() else ""
    raise ValueError(
        f"{place}: {column} {refusal(value)}; leave the row out, or name another column: text = …"
    )


def _of_lines(path: Path) -> Iterator[Document]:
    for line in lines(path):
        if line.text.strip():
            yield Document(line.text, f"{path}:{line.number}", line.done)


def _paragraphs(path: Path) -> Iterator[Document]:
    """Runs of lines that are not blank, each joined to one document."""
    held: list[str] = []
    size = first = done = 0
    for line in lines(path):
        blank = not line.text.strip()
        if blank and held:
            yield Document("\n".join(held), f"{path}:{first}", line.done)
            held, size = [], 0
        elif not blank:
            first = line.number if not held else first
            held.append(line.text)
            size += len(line.text)
        if size > MOST:
            raise ValueError(
                f"{path}:{first}: more than {MOST // 2**20} MiB without a blank line, and a "
                "document is held in memory; separate the documents, or read each line as one: "
                'documents = "lines"'
            )
        done = line.done
    if held:
        yield Document("\n".join(held), f"{path}:{first}", done)


def _of_json(path: Path, asked: str | None) -> Iterator[Document]:
    column = None
    for line in lines(path):
        if not line.text.strip():
            continue
        place = f"{path}:{line.number}"
        row = json_line(line.text, place)
        column = column_of(list(row), asked, place) if column is None else column
        if column not in row:
            raise ValueError(
                f"{place}: no column {column!r}; there are: {one_line(', '.join(row), 200)}"
            )
        if text := read_value(row[column], column, place):
            yield Document(text, place, line.done)


def _of_parquet(path: Path, asked: str | None) -> Iterator[Document]:
    for row, number, done in stream_rows(path, lambda names: [column_of(names, asked, path)]):
        place = f"{path} row {number}"
        ((column, value),) = row.items()
        if text := read_value(value, column, place):
            yield Document(text, place, done)
