"""Texts with an id each, streamed from files of any size: what is to be embedded or indexed.

Formats are those of `data.corpus.tables`; a line of a txt file is a text, and its number the id.
Blank lines are passed over. Nothing here holds more than one row in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from leanformer.core.shown import one_line, shown
from leanformer.core.technique import nearest
from leanformer.data.corpus.documents import column_of, format_of
from leanformer.data.corpus.lines import MOST
from leanformer.data.corpus.tables import FORMATS, TableRow, source_of, stream_table
from leanformer.data.corpus.texts import readable_files
from leanformer.text.texts import refusal, repair


class Record(NamedTuple):
    """A text, its id and where it comes from.

    Attributes:
        id: Of the column that was asked for; else the number of its line or row, in a folder with
            the file's name before it: "a.csv:17".
        text: Never blank, half characters are U+FFFD; "" where the row cannot be read.
        place: E.g. "wiki.jsonl:17".
        done: Bytes of the files, as they lie on the disk, that were read so far.
        error: Why the row cannot be read; "" where it can.
    """

    id: str
    text: str
    place: str
    done: int
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Records:
    """Files of texts, and which columns of them to read."""

    path: Path
    """A file, or a folder of files that are read in the order of their names."""
    column: str | None = None
    """Column of the text; None = the first of the usual names (text, sentence, content, …)."""
    id: str | None = None
    """Column of the ids; None = the lines or rows are counted."""


def record_files(path: Path) -> list[Path]:
    """The files that are read.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The format is unknown, or the folder has no file that can be read.
    """
    if path.is_dir():
        return readable_files(path, FORMATS)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if not format_of(path, FORMATS):
        raise ValueError(
            f"{path}: unknown format; use {', '.join(FORMATS)}, each plain or .gz (a .json file "
            "cannot be streamed: write one object per line, as .jsonl)"
        )
    return [path]


def stream_records(records: Records, *, keep_errors: bool = False) -> Iterator[Record]:
    """Every row that is not blank, in order.

    Args:
        records: What is read.
        keep_errors: Give rows that cannot be read with their error, instead of refusing the file.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: A file is damaged or in another encoding, a column is missing in all rows, or
            (without `keep_errors`) a row cannot be read. The file and the row are named.
    """
    before = 0
    for path in record_files(records.path):
        name = f"{path.name}:" if records.path.is_dir() else ""
        for record in _of_file(path, records, name):
            if record.error and not keep_errors:
                raise ValueError(record.error)
            yield record._replace(done=before + record.done)
        before += path.stat().st_size


def _of_file(path: Path, records: Records, name: str) -> Iterator[Record]:
    def choose(present: list[str]) -> list[str]:
        asked = _columns(present, records, path)
        return list(dict.fromkeys(column for column in asked if column is not None))

    source = source_of(path)
    columns: tuple[str, str | None] | None = None
    for one in stream_table(path, choose):
        place = f"{source}{one.number}"
        found = Record(f"{name}{one.number}", "", place, one.done)
        if one.error:
            yield found._replace(error=one.error)
            continue
        if columns is None:
            columns = _columns(list(one.row), records, place)
        yield _record(one, columns, found)


def _columns(present: list[str], records: Records, place: object) -> tuple[str, str | None]:
    """The columns of text and id.

    Raises:
        ValueError: One is not there.
    """
    if records.id is not None and records.id not in present:
        raise ValueError(
            f"{place}: there is no column {records.id!r}{nearest(records.id, present)} for ids; "
            f"there are: {one_line(', '.join(present), 200)}"
        )
    return column_of(present, records.column, place, "--column"), records.id


def _record(one: TableRow, columns: tuple[str, str | None], found: Record) -> Record:
    """The text and the id of a row, or why it has none."""
    column, id_ = columns
    if id_ is not None:
        key = one.row.get(id_)
        if isinstance(key, bool) or not isinstance(key, str | int) or not str(key).strip():
            said = f"{id_} is {shown(key)}, not an id" if id_ in one.row else f"no column {id_!r}"
            return found._replace(error=f"{found.place}: {said}; ids are texts or whole numbers")
        found = found._replace(id=repair(str(key)))
    if column not in one.row:
        return found._replace(error=f"{found.place}: no column {column!r}")
    value = one.row[column]
    if reason := refusal(value):
        return found._replace(error=f"{found.place}: {column} {reason}")
    if len(value) > MOST:
        said = f"{column} has {len(value):,} characters; split texts of more than {MOST:,}"
        return found._replace(error=f"{found.place}: {said}")
    return found._replace(text=repair(value))
