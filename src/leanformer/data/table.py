"""Rows of text from a file: tsv, csv, jsonl, txt and conll, plain or gzipped.

tsv has no quoting (a tab ends a field, a newline a row), csv has; jsonl holds one object per line;
txt one text per line; conll one `token<TAB>tag` per line with a blank line between sentences.
Everything is UTF-8.
"""

import csv
import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

from leanformer.core.shown import one_line, shown

Row = dict[str, Any]

MAX_UNPACKED = 2**30
"""The most bytes that a .gz file may unpack to: 1 GiB. Plain files have no limit."""
_PIECE = 2**20

FORMATS = (".tsv", ".csv", ".jsonl", ".json", ".txt", ".conll")


def format_of(path: Path) -> str:
    """The suffix that decides how `path` is read, without `.gz`; "" where it is unknown."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    return suffix if suffix in FORMATS else ""


def read_rows(path: Path, *, blank: bool = False) -> list[Row]:
    """The rows of a file, each a dictionary by column.

    Args:
        path: The file.
        blank: Keep blank lines, as rows without columns.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The format is unknown, the bytes are not UTF-8, a row has the wrong number of
            fields, a line is not a JSON object, there is no row at all, or a .gz file unpacks to
            more than `MAX_UNPACKED` bytes.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    suffix = format_of(path)
    if not suffix:
        raise ValueError(f"{path}: unknown format; use {', '.join(FORMATS)}, each plain or .gz")
    text = _text(path)
    rows = {
        ".tsv": _tsv,
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".json": _jsonl,
        ".txt": _txt,
        ".conll": _conll,
    }[suffix](text.removesuffix("\n"), path)
    if not blank:
        rows = [row for row in rows if row]
    if not rows:
        raise ValueError(f"{path}: the file holds no row")
    return rows


def _text(path: Path) -> str:
    try:
        raw = _unpacked(path) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file ({error})") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{path}:{line}: byte {raw[error.start]:#04x} is not UTF-8; "
            f"convert it first, e.g. iconv -f latin1 -t utf-8 {path.name}"
        ) from error


def _unpacked(path: Path) -> bytes:
    """The contents of a gzip file, unpacked piece by piece up to the limit."""
    raw = bytearray()
    with gzip.open(path) as stream:
        while piece := stream.read(_PIECE):
            raw += piece
            if len(raw) > MAX_UNPACKED:
                raise ValueError(
                    f"{path}: it unpacks to more than {MAX_UNPACKED / 2**20:.0f} MiB, and no more "
                    "are unpacked; unpack it yourself (gunzip), or give fewer rows"
                )
    return bytes(raw)


def _tsv(text: str, path: Path) -> list[Row]:
    lines = [line.rstrip("\r") for line in text.split("\n")]
    header = lines[0].split("\t")
    return [
        _fields(header, line.split("\t"), path, number) if line else {}
        for number, line in enumerate(lines[1:], 2)
    ]


def _csv(text: str, path: Path) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(reader, [])
        return [
            _fields(header, fields, path, reader.line_num) if fields else {} for fields in reader
        ]
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: no CSV ({error}); is a quote open?") from None


def _fields(header: list[str], fields: list[str], path: Path, number: int) -> Row:
    if len(fields) != len(header):
        raise ValueError(
            f"{path}:{number}: {len(fields)} fields where the header has {len(header)} "
            f"({one_line(', '.join(header), 200)})"
        )
    return dict(zip(header, fields, strict=True))


def _jsonl(text: str, path: Path) -> list[Row]:
    rows: list[Row] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            rows.append({})
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise ValueError(
                f"{path}:{number}: not JSON ({said}); write one object per line"
            ) from None
        if not isinstance(value, dict):
            raise ValueError(
                f"{path}:{number}: {line[:40]!r} is not a JSON object; write one per line"
            )
        rows.append(value)
    return rows


def _txt(text: str, path: Path) -> list[Row]:
    lines = (line.rstrip("\r") for line in text.split("\n"))
    return [{"text": line} if line.strip() else {} for line in lines]


def _conll(text: str, path: Path) -> list[Row]:
    rows: list[Row] = []
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        fields = line.split()
        if fields and len(fields) < 2:
            raise ValueError(f"{path}:{number}: {shown(line)} has no tag; write token<TAB>tag")
        if fields:
            words.append(fields[0])
            tags.append(fields[-1])
        elif words:
            rows.append({"words": words, "tags": tags})
            words, tags = [], []
    return rows
