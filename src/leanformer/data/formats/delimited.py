"""Tables with a header line: tsv, whose fields are as they stand, and csv, whose fields are quoted.

A .csv file may be separated by commas, semicolons, tabs or bars. The separator is the one that
splits the header, and each of the first rows, into one and the same number of fields, two or more.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from leanformer.core.shown import one_line, shown
from leanformer.data.formats.text_file import lines_of
from leanformer.data.rows import Row

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_TRIED = 20  # rows, the header among them, that decide what separates fields
LONGEST_FIELD = 2**24
"""Characters of a field, at most: a book has a million. A quote that is left open would otherwise
take the rest of a file of any size into memory."""


def tab_separated(text: str, path: Path) -> list[Row]:
    """The rows of a tsv file; a blank line is a row without columns.

    Raises:
        ValueError: Two columns have one name, or a row has another number of fields.
    """
    source = f"{path}:"
    lines = enumerate(lines_of(text), 1)
    first, names = next(((number, line) for number, line in lines if line), (1, ""))
    header = header_of(names.split("\t"), f"{source}{first}")
    return [
        Row(fields_of(header, line.split("\t"), source, number) if line else (), source, number)
        for number, line in lines
    ]


def comma_separated(text: str, path: Path) -> list[Row]:
    """The rows of a csv file; a blank line is a row without columns.

    Raises:
        ValueError: As `tab_separated`, quotes are left open, or several separators are possible.
    """
    source = f"{path}:"
    records = records_of(_lines(text), separator_of(text, path), source)
    first, names = next((record for record in records if record[1]), (1, []))
    header = header_of(names, f"{source}{first}")
    return [
        Row(fields_of(header, fields, source, number) if fields else (), source, number)
        for number, fields in records
    ]


def records_of(
    lines: Iterable[str], separator: str, source: str
) -> Iterator[tuple[int, list[str]]]:
    """Each record of a csv file with the line on which it begins.

    Args:
        lines: The lines, with their ends.
        separator: What separates fields.
        source: What stands before a line's number, e.g. "data.csv:".

    Raises:
        ValueError: The text is not CSV.
    """
    reader = csv.reader(lines, delimiter=separator, strict=True)
    if csv.field_size_limit() < LONGEST_FIELD:  # of the whole process; never lowered
        csv.field_size_limit(LONGEST_FIELD)
    begins = 1
    try:
        for fields in reader:
            yield begins, fields
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{source}{begins}: not CSV ({error}); a quote within quotes is written twice"
        ) from None


def separator_of(text: str, path: Path) -> str:
    """What separates the fields of a csv file.

    Args:
        text: Its text, or the beginning of it.
        path: The file, for messages.

    Raises:
        ValueError: Several separators are possible.
    """
    head = {one: _first_records(text, one) for one in _SEPARATORS}
    wide = [one for one, records in head.items() if records and len(records[0]) > 1]
    even = [one for one in wide if len({len(record) for record in head[one]}) == 1]
    fitting = even or wide or [","]
    if len(fitting) > 1:
        named = " or by ".join(_SEPARATORS[one] for one in fitting)
        raise ValueError(
            f"{path}: its fields may be separated by {named}; put fields that hold a separator "
            "in quotes, or write the file as .tsv"
        )
    return fitting[0]


def _first_records(text: str, separator: str) -> list[list[str]]:
    """The first records that are not blank; none where one is not CSV.

    A record that the end of `text` cuts off is left out: the text may be the beginning of a file.
    """
    lines, found = _lines(text), list[list[str]]()
    try:
        for _, fields in records_of(lines, separator, ""):
            found += [fields] if fields else []
            if len(found) == _TRIED:
                break
    except ValueError:
        return [] if next(lines, None) is not None else found
    return found


def header_of(names: list[str], place: str) -> list[str]:
    """The names of the columns of a header line, without spaces around them.

    Raises:
        ValueError: Two are equal.
    """
    header = [name.strip(" \t\r\ufeff") for name in names]
    for name, count in Counter(header).items():
        if count > 1:
            said = f"{count} columns are called {shown(name)}" if name else f"{count} have no name"
            raise ValueError(f"{place}: {said}; give each column a name of its own")
    return header


def fields_of(header: list[str], fields: list[str], source: str, number: int) -> dict[str, str]:
    """The fields of a row by the names of their columns.

    Raises:
        ValueError: There are more or fewer than columns; the row is named.
    """
    if len(fields) != len(header):
        raise ValueError(
            f"{source}{number}: {len(fields)} fields where the header has {len(header)} "
            f"({one_line(', '.join(header), 200)})"
        )
    return dict(zip(header, fields, strict=True))


def _lines(text: str) -> Iterator[str]:
    return io.StringIO(text, newline="")
