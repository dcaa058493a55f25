"""Texts with an id each, streamed from files of any size: what is to be embedded or indexed.

txt        a text per line; its id is the number of the line
csv, tsv   a text per row, in one of the columns that the header names
jsonl      one object per line
parquet    one row after another, read page by page

Each plain or gzipped. Blank lines are passed over. Nothing here holds more than one row, or one
page of a Parquet file, in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from leanformer.core.shown import one_line, shown
from leanformer.core.technique import nearest
from leanformer.data.corpus.documents import column_of, format_of
from leanformer.data.corpus.lines import MOST, Line, lines
from leanformer.data.corpus.texts import readable_files
from leanformer.data.formats.delimited import fields_of, header_of, records_of, separator_of
from leanformer.data.formats.objects import json_line
from leanformer.data.formats.parquet import stream_rows
from leanformer.text.texts import refusal, repair

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
_HEAD_LINES, _HEAD = 4096, 2**22  # lines and characters that tell what separates fields


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


class _Read(NamedTuple):
    """A row as a format gives it: its columns, or what is wrong with it."""

    row: dict[str, Any]
    number: int
    done: int
    error: str = ""


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
    form = format_of(path, FORMATS)
    source = f"{path} row " if form == ".parquet" else f"{path}:"
    columns: tuple[str, str | None] | None = None
    for one in _rows(path, form, records):
        place = f"{source}{one.number}"
        found = Record(f"{name}{one.number}", "", place, one.done)
        if one.error:
            yield found._replace(error=one.error)
            continue
        if columns is None:
            columns = _columns(list(one.row), records, place)
        yield _record(one, columns, found)


def _rows(path: Path, form: str, records: Records) -> Iterator[_Read]:
    read = {".parquet": _of_parquet, ".jsonl": _of_json, ".csv": _of_csv, ".tsv": _of_tsv}
    return read[form](path, records) if form in read else _of_text(path)


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


def _record(one: _Read, columns: tuple[str, str | None], found: Record) -> Record:
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


def _of_text(path: Path) -> Iterator[_Read]:
    for line in lines(path, keep_errors=True):
        if line.text.strip():
            yield _Read({"text": line.text}, line.number, line.done, line.error)


def _of_json(path: Path, _: Records) -> Iterator[_Read]:
    for line in lines(path, keep_errors=True):
        if not line.text.strip():
            continue
        row, error = dict[str, Any](), line.error
        try:
            row = row if error else json_line(line.text, f"{path}:{line.number}")
        except ValueError as wrong:
            error = str(wrong)
        yield _Read(row, line.number, line.done, error)


def _of_tsv(path: Path, records: Records) -> Iterator[_Read]:
    found = ((line, line.text.split("\t")) for line in lines(path, keep_errors=True) if line.text)
    first = next(found, None)
    if first is None:
        return
    header = _header(path, records, first[0].number, first[1])
    for line, fields in found:
        yield _row(path, header, fields, line)


def _of_csv(path: Path, records: Records) -> Iterator[_Read]:
    """The records of a csv file; a record ends where its quotes do, perhaps lines later."""
    fed = _Fed(path)
    head = "".join(f"{line.text}\n" for line in _head(path))
    found = records_of(fed, separator_of(head, path), f"{path}:")
    header: list[str] = []
    for number, fields in found:
        line, fed.error = Line(number, "", fed.done, fed.error), ""
        if fields and not header:
            header = _header(path, records, number, fields)
        elif fields:
            yield _row(path, header, fields, line)


class _Fed:
    """The lines of a file for a reader of csv, which remembers how far it read."""

    def __init__(self, path: Path) -> None:
        self._lines, self.done, self.error = lines(path, keep_errors=True), 0, ""

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.done, self.error = line.done, self.error or line.error
            yield f"{line.text}\n"


def _head(path: Path) -> Iterator[Line]:
    """The first lines of a file."""
    size = 0
    for line in islice(lines(path, keep_errors=True), _HEAD_LINES):
        size += len(line.text)
        if size > _HEAD:
            return
        yield line


def _header(path: Path, records: Records, number: int, fields: list[str]) -> list[str]:
    """The names of the columns, with those that are asked for among them."""
    header = header_of(fields, f"{path}:{number}")
    _columns(header, records, path)
    return header


def _row(path: Path, header: list[str], fields: list[str], line: Line) -> _Read:
    """The fields of a line by the names of their columns."""
    row, error = dict[str, Any](), line.error
    try:
        row = row if error else dict(fields_of(header, fields, f"{path}:", line.number))
    except ValueError as wrong:
        error = str(wrong)
    return _Read(row, line.number, line.done, error)


def _of_parquet(path: Path, records: Records) -> Iterator[_Read]:
    def choose(names: list[str]) -> list[str]:
        asked = _columns(names, records, path)
        return list(dict.fromkeys(name for name in asked if name is not None))

    return (_Read(row, number, done) for row, number, done in stream_rows(path, choose))
