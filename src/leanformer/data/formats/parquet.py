"""Parquet files, read with pyarrow; numbers of classes become names where the file knows them.

Files that 🤗 datasets wrote carry the features of their columns, and so the names of the classes.
"""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from leanformer.core.shown import one_line
from leanformer.data.formats.class_names import NamedClasses, class_names, with_names
from leanformer.data.formats.text_file import read_bytes
from leanformer.data.rows import Row

_INDEX = re.compile(r"__index_level_\d+__")  # the index that pandas writes beside the columns
_AT_ONCE = 64  # rows that are decoded at once


def parquet_rows(path: Path) -> list[Row]:
    """The rows of a Parquet file, plain or .gz.

    Raises:
        ValueError: pyarrow is not installed, the file is damaged, or two columns have one name.
    """
    pyarrow, parquet = import_pyarrow(path)
    raw = io.BytesIO(read_bytes(path))
    try:
        file = parquet.ParquetFile(raw, page_checksum_verification=True)
        names = _chosen(file, path, list)
        values = [row for batch in file.iter_batches(columns=names) for row in batch.to_pylist()]
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path}: damaged Parquet file ({said})") from error
    classes, source = _classes(file.schema_arrow.metadata or {}), f"{path} row "
    return [
        Row(with_names(row, classes, f"{source}{number}"), source, number)
        for number, row in enumerate(values, 1)
    ]


def stream_rows(
    path: Path, choose: Callable[[list[str]], list[str]]
) -> Iterator[tuple[dict[str, Any], int, int]]:
    """The rows of a Parquet file, plain or .gz, one after the other in constant memory.

    Args:
        path: The file.
        choose: Names of all columns -> of those that are read; it may raise. The index that pandas
            writes is not among them.

    Yields:
        The row, its number from 1, and about how many bytes of the file were read up to it.

    Raises:
        ValueError: pyarrow is not installed, the file is damaged, or two columns that are read have
            one name.
    """
    pyarrow, parquet = import_pyarrow(path)
    with path.open("rb") as disk:
        # a .gz is unpacked anew for each jump backwards: memory stays small, and time is lost
        file = gzip.GzipFile(fileobj=disk) if path.suffix.lower() == ".gz" else disk
        try:
            opened = parquet.ParquetFile(
                file, buffer_size=2**20, pre_buffer=False, page_checksum_verification=True
            )
            names, size = _chosen(opened, path, choose), path.stat().st_size
            known = _classes(opened.schema_arrow.metadata or {})
            classes = {name: known[name] for name in names if name in known}
            number, count = 0, max(1, opened.metadata.num_rows)
            for batch in opened.iter_batches(_AT_ONCE, columns=names, use_threads=False):
                for row in batch.to_pylist():
                    number += 1
                    row = with_names(row, classes, f"{path} row {number}")
                    yield row, number, size * number // count
        except (pyarrow.ArrowException, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: damaged Parquet file ({one_line(error)})") from error


def import_pyarrow(path: Path) -> tuple[Any, Any]:
    """pyarrow and its module of Parquet files, to read `path`.

    Raises:
        ValueError: It is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            f"{path}: Parquet files are read with pyarrow, which is not installed: "
            "pip install 'leanformer[parquet]'"
        ) from None
    return pyarrow, parquet


def _chosen(file: Any, path: Path, choose: Callable[[list[str]], list[str]]) -> list[str]:
    """The columns that are read.

    Raises:
        ValueError: Two of them have one name.
    """
    names = [name for name in file.schema_arrow.names if not _INDEX.fullmatch(name)]
    chosen = choose(list(dict.fromkeys(names)))
    for name in sorted(chosen):
        if names.count(name) > 1:
            raise ValueError(f"{path}: two columns are called {name!r}; rename one")
    return chosen


def _classes(metadata: dict[bytes, bytes]) -> NamedClasses:
    """The names of the classes of each column that has such, as datasets wrote them."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return class_names(features) if isinstance(features, dict) else {}
