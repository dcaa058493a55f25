"""A corpus as a stream of documents, from files, folders of shards or the hub.

    wiki.txt, wiki.jsonl.gz, wiki.parquet    a file, plain or .gz
    wiki/                                    a folder of shards, read in the order of their names
    owner/name, owner/name:config            a data set of the hub, streamed

Nothing here holds more than one document, or one page of a Parquet file, in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from leanformer.core.ranges import PartialShare, ranged
from leanformer.core.shown import one_line
from leanformer.core.technique import nearest
from leanformer.data.corpus.documents import (
    FORMATS,
    Document,
    column_of,
    documents_of,
    format_of,
    read_value,
)


@dataclass(frozen=True, kw_only=True)
@ranged
class Corpus:
    """Where the texts of a pre-training come from.

    Raises:
        ValueError: No path is given, or a field is out of its range.
    """

    paths: tuple[str, ...]
    """Files (.txt, .jsonl, .parquet, each plain or .gz), folders of such files, or names of the
    hub; read in this order, and a folder in the order of its names. A string stands for one."""
    text: str | None = None
    """Column of the text; None = the first of the usual names (text, sentence, content, …)."""
    documents: Literal["lines", "blank-lines"] = "lines"
    """What separates the documents of a .txt file: each line is one, or blank lines are between
    them."""
    split: str = "train"
    """The split that is read of a data set of the hub."""
    held_out: PartialShare = 0.0
    """Share of the documents that is kept for evaluation. A hash of the text decides, so that equal
    texts are never on both sides."""

    def __post_init__(self) -> None:
        given = (self.paths,) if isinstance(self.paths, str) else tuple(self.paths)
        object.__setattr__(self, "paths", given)
        if not given:
            raise ValueError("paths: no path is given; name a file, a folder or a data set")
        if self.documents not in ("lines", "blank-lines"):
            raise ValueError(f"documents: {self.documents!r} is not lines or blank-lines")


def sources(corpus: Corpus) -> list[Path | str]:
    """The files of a corpus in the order in which they are read; names of the hub as strings.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: A folder has no file that can be read.
    """
    found: list[Path | str] = []
    for path in corpus.paths:
        place = Path(path).expanduser()
        if place.is_dir():
            found += readable_files(place)
        elif place.exists():
            found.append(place)
        elif format_of(place) or path.startswith((".", "/", "~")) or path.count("/") != 1:
            raise FileNotFoundError(f"{path}: no such file or folder")
        else:
            found.append(path)
    return found


def source_bytes(corpus: Corpus) -> int:
    """Bytes of all files of a corpus as they lie on the disk; 0 where one is on the hub."""
    found = sources(corpus)
    return 0 if any(isinstance(one, str) for one in found) else sum(map(_size, found))


def stream(corpus: Corpus) -> Iterator[Document]:
    """Every document of a corpus that is not blank, in order.

    Raises:
        FileNotFoundError: There is no such file, folder or data set.
        ValueError: See `documents_of`; the place of what cannot be read is named.
    """
    before = 0
    for source in sources(corpus):
        if isinstance(source, str):
            yield from hub_documents(source, corpus.split, corpus.text)
            continue
        for document in documents_of(source, corpus.text, corpus.documents):
            yield document._replace(done=before + document.done)
        before += _size(source)


def hub_documents(name: str, split: str, text: str | None = None) -> Iterator[Document]:
    """The documents of a data set of the hub, streamed.

    Args:
        name: `owner/name`, or `owner/name:config`; a local folder will do.
        split: The split that is read.
        text: Column of the text; None = found by its name.

    Raises:
        FileNotFoundError: The hub does not give it, or 🤗 datasets is not installed.
        ValueError: There is no such column, or a text cannot be read.
    """
    column, empty = None, True
    for number, row in enumerate(_opened(name, split), 1):
        place = f"{name} {split} row {number}"
        column = column_of(list(row), text, place) if column is None else column
        if found := read_value(row[column], column, place):
            empty = False
            yield Document(found, place, 0)
    if empty:
        raise ValueError(f"{name}: its split {split} holds no text; name another one: split = …")


def _opened(name: str, split: str) -> Any:
    """The rows of a split of the hub, one after another."""
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise FileNotFoundError(
            f"{name}: no such file or folder; for the hub: pip install 'leanformer[hub]'"
        ) from error
    path, _, config = name.partition(":")
    try:
        splits = load_dataset(path, config or None, streaming=True)
    except Exception as error:
        raise FileNotFoundError(
            f"{name}: no such file or folder here, and the hub did not give it ({one_line(error)})"
        ) from error
    if split not in splits:
        there = list(splits)
        raise ValueError(
            f"{name}: there is no split {split!r}{nearest(split, there)}; there are: "
            f"{', '.join(there)}"
        )
    return splits[split]


def readable_files(folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """The files of a folder that can be read, sorted; what is hidden does not count.

    Args:
        folder: The folder; its sub-folders are not looked into.
        formats: The suffixes of files that can be read.

    Raises:
        ValueError: There is none.
    """
    inside = sorted(one for one in folder.iterdir() if one.is_file() and one.name[0] != ".")
    found = [one for one in inside if format_of(one, formats)]
    if not found:
        there = f"there are: {one_line(', '.join(one.name for one in inside), 200)}"
        raise ValueError(
            f"{folder}: no file that can be read ({', '.join(formats)}, each plain or .gz); "
            f"{there if inside else 'the folder is empty'}"
        )
    return found


def _size(source: Path | str) -> int:
    return Path(source).stat().st_size
