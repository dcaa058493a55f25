"""Folders of built indexes: what they are of, their files, and checksums of all of them.

    index.json          {"format": 1, "index": {"use": "hnsw", …}, "rows": …, "width": …}
    index.faiss         the index as FAISS writes it
    space.safetensors   how vectors are placed before FAISS sees them
    parts.json          sizes and checksums

The effort of a search (`nprobe`, `ef`) is part of the description, so it comes back with the index.
An index of FAISS does not hold the vectors that its candidates are re-scored from: they are given
again when it is opened.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.codec import decode, encode
from leanformer.core.ranges import Count, check_number
from leanformer.core.ranges import Index as Whole
from leanformer.core.storage.files import new_folder, recover_folder, write_bytes, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import check_parts, list_parts
from leanformer.retrieve.indexes.exact_scores import Source
from leanformer.retrieve.indexes.interface import (
    BuiltIndex,
    Index,
    checked_threads,
    checked_vectors,
)

ABOUT = "index.json"
WAY_OUT = "build the index again"
_FORMAT = 1


def write_index(
    folder: Path, built: BuiltIndex, write: Callable[[Path], None], **more: Any
) -> None:
    """Write the folder of a built index, whole or not at all.

    Args:
        folder: Where; an index that is there is replaced.
        built: The index.
        write: Writes its own files into the folder it is given.
        more: Further entries of `index.json`.

    Raises:
        FileExistsError: Something other than an index is there.
        DiskFull: There is no space for it; what was there is kept.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ABOUT).is_file():
        raise FileExistsError(f"{folder} holds something other than an index; name another folder")
    about = {
        "format": _FORMAT,
        "index": encode(built.description),
        "rows": built.rows,
        "width": built.width,
        **more,
    }
    with new_folder(folder, overwrite=True) as temporary:
        write(temporary)
        write_text(temporary / ABOUT, json.dumps(about, indent=1) + "\n")
        list_parts(temporary)


def read_about(folder: Path) -> dict[str, Any]:
    """What `index.json` says, after the checksums of all files were compared.

    Raises:
        ValueError: The folder is not an index, or a file in it is missing or damaged.
        OSError: A file cannot be read.
    """
    recover_folder(folder)
    if not (folder / ABOUT).is_file():
        raise ValueError(f"{folder} is not an index: it has no {ABOUT}; {WAY_OUT}")
    check_parts(folder, WAY_OUT)
    about = read_json(folder / ABOUT)
    if about.get("format") != _FORMAT:
        raise ValueError(
            f"{folder / ABOUT} is of format {about.get('format')!r}, and this version reads "
            f"{_FORMAT}; {WAY_OUT}"
        )
    for name, kind in (("rows", Whole), ("width", Count)):
        check_number(kind, about.get(name), f"{folder / ABOUT}: {name}")
    return about


def restore(
    folder: Path, about: Mapping[str, Any], source: Source | None, threads: int | None
) -> BuiltIndex:
    """The index in a folder, of what `read_about` said of it.

    Raises:
        ValueError: As `open_index`.
        ImportError: `faiss` is missing.
    """
    description: Index = decode(Index, about.get("index"), f"{folder / ABOUT}: index")
    return description.restore(folder, about["rows"], about["width"], source, threads)


def open_index(
    folder: str | Path,
    vectors: NDArray[np.floating] | Source | None = None,
    *,
    threads: int | None = None,
) -> BuiltIndex:
    """Open an index that `BuiltIndex.save` wrote.

    Args:
        folder: Where it lies.
        vectors: The vectors that it was built of, [N, D], or a function from row numbers to them.
            An exact index has its own.
        threads: Threads that search; None = all cores.

    Raises:
        ValueError: A file is missing, damaged or not what it should be; or the vectors are missing
            or of another shape.
        OSError: A file cannot be read.
        ImportError: `faiss` is missing, for indexes that need it.
    """
    place = Path(folder)
    about = read_about(place)
    source = vectors if callable(vectors) or vectors is None else _source(vectors, about, place)
    return restore(place, about, source, checked_threads(threads))


def _source(vectors: NDArray[np.floating], about: Mapping[str, Any], place: Path) -> Source:
    held = checked_vectors(vectors)
    if held.shape != (about["rows"], about["width"]):
        raise ValueError(
            f"vectors: shape {held.shape}; {place} was built of shape "
            f"({about['rows']}, {about['width']}): give the same vectors"
        )
    return held.__getitem__


def write_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as safetensors."""
    from safetensors.numpy import save

    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(file, save(held))


def read_arrays(
    file: Path, shapes: Mapping[str, tuple[str, tuple[int | None, ...]]]
) -> dict[str, NDArray[Any]]:
    """Read the arrays of a safetensors file.

    Args:
        file: What `write_arrays` wrote.
        shapes: The dtype (as safetensors calls it) and shape of each array that is to be there, by
            name; None = any length.

    Raises:
        ValueError: It is not such a file, or holds other arrays.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as held:
            names = set(held.keys())
            for name, (dtype, shape) in shapes.items():
                told = held.get_slice(name) if name in names else None
                if told is None or not _fits(told, dtype, shape):
                    raise ValueError(f"{file}: {name} is not {dtype} of shape {shape}; {WAY_OUT}")
            return {name: held.get_tensor(name) for name in shapes}
    except SafetensorError as error:
        raise ValueError(f"{file} is not a safetensors file ({error}); {WAY_OUT}") from error


def _fits(told: Any, dtype: str, shape: tuple[int | None, ...]) -> bool:
    found = told.get_shape()
    return (
        told.get_dtype() == dtype
        and len(found) == len(shape)
        and all(size in (None, given) for given, size in zip(found, shape, strict=True))
    )
