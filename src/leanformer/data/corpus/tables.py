"""The rows of a table of any size, one after the other in constant memory.

txt        a text per line
csv, tsv   a row per record, in the columns that the header names
jsonl      one object per line
parquet    one row after another, read page by page

Each plain or gzipped. Blank lines are passed over. A row that cannot be read is given with its
error, so that the caller may refuse it or name all of them; what is wrong with a whole file is
raised. Nothing here holds more than one row, or one page of a Parquet file, in memory.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from leanformer.data.corpus.documents import format_of
from leanformer.data.corpus.lines import Line, lines
from leanformer.data.formats.delimited import fields_of, header_of, records_of, separator_of
from leanformer.data.formats.objects import json_line
from leanformer.data.formats.parquet import stream_rows

FORMATS = (".txt", ".csv", ".tsv", ".jsonl", ".parquet")
Choose = Callable[[list[str]], list[str]]
"""Names of all columns -> of those that are read; it may raise."""
_HEAD_LINES, _HEAD = 4096, 2**22  # lines and characters that tell what separates fields


class TableRow(NamedTuple):
    """A row as its format gives it.

    Attributes:
        row: Its values by column; empty where it cannot be read.
        number: Of its line or, in Parquet, of the row, from 1.
        done: Bytes of the file, as it lies on the disk, that were read so far.
        error: Why it cannot be read, with its place; "" where it can.
    """

    row: dict[str, Any]
    number: int
    done: int
    error: str = ""


def stream_table(path: Path, choose: Choose) -> Iterator[TableRow]:
    """Every row that is not blank, in order.

    Args:
        path: A file of one of `FORMATS`, plain or .gz.
        choose: Asked where a header or schema names the columns before the first row. Only Parquet
            leaves out the columns that it does not name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or in another encoding, or two columns have one name.
    """
    form = format_of(path, FORMATS)
    if form == ".txt":
        return _of_text(path)
    if form == ".jsonl":
        return _of_json(path)
    read = {".parquet": _of_parquet, ".csv": _of_csv, ".tsv": _of_tsv}
    return read[form](path, choose)


def source_of(path: Path) -> str:
    """What stands before the number of a row of this file where it is named."""
    return f"{path} row " if format_of(path, FORMATS) == ".parquet" else f"{path}:"


def _of_text(path: Path) -> Iterator[TableRow]:
    for line in lines(path, keep_errors=True):
        if line.text.strip():
            yield TableRow({"text": line.text}, line.number, line.done, line.error)


def _of_json(path: Path) -> Iterator[TableRow]:
    for line in lines(path, keep_errors=True):
        if not line.text.strip():
            continue
        row, error = dict[str, Any](), line.error
        try:
            row = row if error else json_line(line.text, f"{path}:{line.number}")
        except ValueError as wrong:
            error = str(wrong)
        yield TableRow(row, line.number, line.done, error)


def _of_tsv(path: Path, choose: Choose) -> Iterator[TableRow]:
    found = ((line, line.text.split("\t")) for line in lines(path, keep_errors=True) if line.text)
    first = next(found, None)
    if first is None:
        return
    header = _header(path, choose, first[0].number, first[1])
    for line, fields in found:
        yield _row(path, header, fields, line)


def _of_csv(path: Path, choose: Choose) -> Iterator[TableRow]:
    """The records of a csv file; a record ends where its quotes do, perhaps lines later."""
    fed = _Fed(path)
    head = "".join(f"{line.text}\n" for line in _head(path))
    found = records_of(fed, separator_of(head, path), f"{path}:")
    header: list[str] = []
    for number, fields in found:
        line, fed.error = Line(number, "", fed.done, fed.error), ""
        if fields and not header:
            header = _header(path, choose, number, fields)
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


def _header(path: Path, choose: Choose, number: int, fields: list[str]) -> list[str]:
    """The names of the columns, with those that are asked for among them."""
    header = header_of(fields, f"{path}:{number}")
    choose(header)
    return header


def _row(path: Path, header: list[str], fields: list[str], line: Line) -> TableRow:
    """The fields of a line by the names of their columns."""
    row, error = dict[str, Any](), line.error
    try:
        row = row if error else dict(fields_of(header, fields, f"{path}:", line.number))
    except ValueError as wrong:
        error = str(wrong)
    return TableRow(row, line.number, line.done, error)


def _of_parquet(path: Path, choose: Choose) -> Iterator[TableRow]:
    return (TableRow(row, number, done) for row, number, done in stream_rows(path, choose))
