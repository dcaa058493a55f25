"""Rows of text from a file: tsv, csv, json, jsonl, parquet, txt and conll, plain or gzipped.

    tsv         a tab ends a field, a line a row; no quotes
    csv         with quotes; separated by commas, semicolons, tabs or bars
    jsonl       one object per line
    json        an array of objects, or one object per line
    parquet     read with pyarrow
    txt         one text per line
    conll       token<TAB>tag per line, a blank line between sentences; conllu likewise

Text is UTF-8. The first line of tsv and csv names the columns.
"""

from collections.abc import Callable
from pathlib import Path

from leanformer.data.formats.conll import tagged_words
from leanformer.data.formats.delimited import comma_separated, tab_separated
from leanformer.data.formats.objects import json_document, json_lines
from leanformer.data.formats.parquet import parquet_rows
from leanformer.data.formats.text_file import lines_of, read_text
from leanformer.data.rows import Row


def _texts(text: str, path: Path) -> list[Row]:
    """One text per line; a blank line is a row without columns."""
    source = f"{path}:"
    return [
        Row({"text": line} if line.strip() else {}, source, number)
        for number, line in enumerate(lines_of(text), 1)
    ]


_OF_TEXT: dict[str, Callable[[str, Path], list[Row]]] = {
    ".tsv": tab_separated,
    ".csv": comma_separated,
    ".jsonl": json_lines,
    ".json": json_document,
    ".txt": _texts,
    ".conll": tagged_words,
    ".conllu": tagged_words,
}
_PARQUET = ".parquet"
FORMATS = (*_OF_TEXT, _PARQUET)


def format_of(path: Path) -> str:
    """The suffix that decides how `path` is read, without `.gz`; "" where it is unknown."""
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in FORMATS else ""


def read_rows(path: Path, *, blank: bool = False) -> list[Row]:
    """The rows of a file, each a dictionary by column that knows its place.

    Args:
        path: The file.
        blank: Keep blank lines, as rows without columns.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The format is unknown, the file is damaged or in another encoding than UTF-8, a
            row does not fit the format (its place is named), two columns have one name, there is no
            row at all, or a .gz file unpacks to more than 1 GiB.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    suffix = format_of(path)
    if not suffix:
        raise ValueError(f"{path}: unknown format; use {', '.join(FORMATS)}, each plain or .gz")
    rows = parquet_rows(path) if suffix == _PARQUET else _OF_TEXT[suffix](read_text(path), path)
    if not blank:
        rows = [row for row in rows if row]
    if not rows:
        raise ValueError(f"{path}: the file holds no row")
    return rows
