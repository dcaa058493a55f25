"""The documents that are to be searched, one at a time: files of a folder, or rows of a table.

    notes/                         every .txt and .md file below it is a document
    notes.md                       one document
    texts.csv, .tsv, .json, .jsonl, .parquet     each row is a document: a column of text, a column
                                   of ids if there is one, and the other columns as metadata

Files may be gzipped. Tables are streamed, so that memory holds one row; a .json file is held whole.
A document that cannot be read is yielded as `Unreadable`, with the reason, so that the caller can
name all of them at once. Blank documents are left out.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from leanformer.core.shown import one_line, shown
from leanformer.core.technique import nearest
from leanformer.data.chosen_columns import found_column
from leanformer.data.corpus.documents import column_of
from leanformer.data.corpus.tables import FORMATS as STREAMED
from leanformer.data.corpus.tables import source_of, stream_table
from leanformer.data.formats.table import FORMATS, format_of, read_rows
from leanformer.data.formats.text_file import read_text
from leanformer.data.rows import Row
from leanformer.text.texts import refusal, repair

TEXTS = (".txt", ".md", ".markdown")
"""The files of a folder that are read."""
_TABLES = tuple(one for one in FORMATS if one not in (".txt", ".conll", ".conllu"))
_IDS = ("id", "_id", "doc_id", "docid", "document_id", "passage_id", "pid", "corpus_id")
_MOST = 64 * 2**20  # bytes of a document
OURS = ("start_char", "end_char")
"""Metadata that each passage gets; no column may have these names."""


class Document(NamedTuple):
    """A text with what is known of it.

    Attributes:
        name: Its path within the folder, its id, or its file and line; no other one has it.
        text: Never blank.
        metadata: "source" (the file), and the other columns of a table.
        done: Bytes of all sources that were read so far.
    """

    name: str
    text: str
    metadata: dict[str, Any]
    done: int


class Unreadable(NamedTuple):
    """A document that cannot be read.

    Attributes:
        name: As of a `Document`, or the place of the row where its id cannot be read.
        reason: What is wrong, with the place.
    """

    name: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Where documents come from.

    Attributes:
        path: A folder, a text file or a table.
        text: Column of the text; None = the first of the usual names.
        id: Column of the ids; None = the first of the usual names, or the place of the row.
    """

    path: Path
    text: str | None = None
    id: str | None = None

    def files(self, leave_out: Path | None = None) -> list[Path]:
        """The files that are read, in order.

        Args:
            leave_out: A folder whose files do not count, such as that of the index.

        Raises:
            FileNotFoundError: There is no such file or folder.
            ValueError: The format is unknown, or the folder has no text.
        """
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such file or folder")
        if self.path.is_dir():
            return _files_in(self.path, leave_out)
        if _suffix(self.path) not in (*TEXTS, *_TABLES):
            known = ", ".join((*TEXTS, *_TABLES))
            raise ValueError(
                f"{self.path}: unknown format; name a folder of texts, or a file ({known})"
            )
        return [self.path]

    def bytes(self, leave_out: Path | None = None) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.files(leave_out))

    def read(self, leave_out: Path | None = None) -> Iterator[Document | Unreadable]:
        """Every document, in the order of the files and rows.

        Raises:
            FileNotFoundError: As `files`.
            ValueError: As `files`; or a table cannot be read, or has no such column.
        """
        done = 0
        for file in self.files(leave_out):
            size = file.stat().st_size
            if _suffix(file) in _TABLES:
                yield from self._rows(file, size)
                return
            name = file.name if file == self.path else file.relative_to(self.path).as_posix()
            done += size
            if one := _whole(file, repair(name), size, done):
                yield one

    def _rows(self, file: Path, size: int) -> Iterator[Document | Unreadable]:
        text = id_ = None
        for row, done in _table(file, size):
            if isinstance(row, Unreadable):
                yield row
                continue
            if text is None:
                text = column_of(list(row), self.text, file)
                id_ = self._id_column(list(row), file)
                _refuse_names(list(row), file)
            if one := _document(row, file.name, text, id_, done):
                yield one

    def _id_column(self, present: list[str], file: Path) -> str | None:
        if self.id is not None and self.id not in present:
            there = one_line(", ".join(present), 200)
            raise ValueError(
                f"{file}: there is no column {self.id!r}{nearest(self.id, present)}; there are: "
                f"{there}"
            )
        return self.id or found_column(_IDS, present, "--id")


def _suffix(path: Path) -> str:
    bare = Path(path.name.lower().removesuffix(".gz")).suffix
    return bare if bare in TEXTS else format_of(path)


def _files_in(folder: Path, leave_out: Path | None) -> list[Path]:
    out = leave_out.resolve() if leave_out is not None else None
    found, others = [], 0
    for file in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        ours = out is not None and out in file.resolve().parents
        if hidden or ours or not file.is_file():
            continue
        if _suffix(file) in TEXTS:
            found.append(file)
        else:
            others += 1
    if not found:
        raise ValueError(
            f"{folder}: no text in this folder or below it ({', '.join(TEXTS)}, each plain or "
            f".gz); it has {others} other file{'' if others == 1 else 's'}"
        )
    return found


def _whole(file: Path, name: str, size: int, done: int) -> Document | Unreadable | None:
    """A file as one document; None where it is blank."""
    if size > _MOST:
        return Unreadable(
            name,
            f"{file}: {size / 2**20:.0f} MiB, and a document is held in memory; split files of "
            f"more than {_MOST // 2**20} MiB, or write their parts as rows of a .jsonl file",
        )
    try:
        text = read_text(file)
    except (ValueError, OSError) as error:
        return Unreadable(name, str(error))
    return Document(name, text, {"source": name}, done) if text.strip() else None


def _table(file: Path, size: int) -> Iterator[tuple[Row | Unreadable, int]]:
    """The rows of a table with the bytes that were read: one at a time, but for .json files, whose
    end has to be read before their first row is known to be one."""
    if format_of(file) not in STREAMED:
        rows = read_rows(file)
        for number, row in enumerate(rows, 1):
            yield row, size * number // len(rows)
        return
    source = source_of(file)
    for one in stream_table(file, list):
        if one.error:
            yield Unreadable(f"{file.name}:{one.number}", one.error), one.done
        else:
            yield Row(one.row, source, one.number), one.done


def _document(
    row: Row, source: str, text: str, id_: str | None, done: int
) -> Document | Unreadable | None:
    """The document in a row; None where it is blank."""
    place = f"{source}:{row.number}"
    value = row.get(text)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    name = place if id_ is None else str(row.get(id_) if row.get(id_) is not None else "").strip()
    if not name:
        return Unreadable(place, f"{row.place}: {id_} is empty; give each row an id of its own")
    if reason := refusal(value):
        return Unreadable(repair(name), f"{row.place}: {text} {reason}")
    others = {key: item for key, item in row.items() if key != text and item is not None}
    metadata = {"source": source} | {key: _storable(item) for key, item in others.items()}
    return Document(repair(name), repair(value), metadata, done)


def _storable(value: Any) -> Any:
    """`value` as a store holds metadata: scalars and lists of them; anything else as text."""
    if isinstance(value, list):
        plain = [_storable(item) for item in value]
        nested = any(isinstance(item, dict | list) for item in value)
        return json.dumps(plain, ensure_ascii=False) if nested else plain
    if isinstance(value, dict):
        inner = {str(key): _storable(item) for key, item in value.items()}
        return json.dumps(inner, ensure_ascii=False)
    if isinstance(value, str):
        return repair(value)
    if value is None or isinstance(value, bool | int):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def _refuse_names(present: list[str], file: Path) -> None:
    for name in OURS:
        if name in present:
            raise ValueError(
                f"{file}: column {shown(name)} has the name that a passage's own offset gets; "
                "rename the column"
            )
