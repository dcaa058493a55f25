"""The list of the files in a folder, with sizes and checksums: damage is named before it is read.

    parts.json    {"format": 1, "parts": {"state.json": {"bytes": 812, "blake2b": "9f…"}, …}}

A file too many is refused like one too few: what reads a folder by its names would take it in. The
table of parts may also stand in a file elsewhere (`parts_of`, `compare_parts`); files in
sub-folders are called by their path, `1_Pooling/config.json`.
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from leanformer.core.storage.files import contents, write_text
from leanformer.core.storage.json_file import read_json

LIST = "parts.json"
"""The name of the list; it does not list itself."""
_FORMAT = 1
_DIGEST_BYTES = 32

Extra = Literal["refuse", "ignore"] | Collection[str]
"""What becomes of a file that a table does not name: refused, ignored, or refused where it has one
of these names."""


def parts_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Describe every file in `folder` and its sub-folders, ready for JSON.

    Returns:
        `{"bytes": size, "blake2b": checksum}` by the path in the folder, written with "/".

    Raises:
        OSError: There is no such folder, or a file cannot be read.
    """
    return {name: _described(folder / name) for name in _names(folder)}


def compare_parts(
    folder: Path,
    parts: Any,
    way_out: str,
    *,
    extra: Extra = "refuse",
    named_by: str = LIST,
    checksums: bool = True,
) -> None:
    """Compare what is in `folder` with a table of parts, size by size and checksum by checksum.

    Args:
        folder: What `parts_of` described.
        parts: What it returned, as read back from JSON: anything that is not such a table is
            refused.
        way_out: What a user can do about damage, the end of each message.
        extra: What becomes of a file that the table does not name.
        named_by: The file that holds the table, for messages.
        checksums: Whether every file is read; False compares names and sizes alone, which takes no
            time where files are large.

    Raises:
        ValueError: A file is missing, too many, shorter or longer, or altered; or `parts` is not a
            table of parts.
        OSError: A file cannot be read.
    """
    _check_table(parts, named_by, way_out)
    names = _names(folder) if folder.is_dir() else []
    _compare(folder, parts, names, way_out, extra, named_by, checksums)


def list_parts(folder: Path) -> None:
    """Write the list of what is in `folder`, when everything else has been written."""
    parts = {name: part for name, part in parts_of(folder).items() if name != LIST}
    write_text(folder / LIST, _written({"format": _FORMAT, "parts": parts}))


def check_parts(
    folder: Path, way_out: str, *, extra: Extra = "refuse", checksums: bool = True
) -> None:
    """Compare what is in `folder` with its own list, `parts.json`.

    Args:
        folder: What `list_parts` was called for.
        way_out: What a user can do about damage, the end of each message.
        extra: What becomes of a file that the list does not name.
        checksums: As of `compare_parts`.

    Raises:
        ValueError: As `compare_parts`, or the list itself is missing or damaged.
        OSError: A file cannot be read.
    """
    parts = _listed(folder, way_out)
    names = [name for name in _names(folder) if name != LIST]
    _compare(folder, parts, names, way_out, extra, LIST, checksums)


def _compare(
    folder: Path,
    parts: dict[str, Any],
    names: list[str],
    way_out: str,
    extra: Extra,
    named_by: str,
    checksums: bool,
) -> None:
    """Compare the files of these names with their rows in a valid table."""
    present = set(names)
    for name in parts:
        if name not in present:
            raise ValueError(f"{folder / name} is missing, though {named_by} names it; {way_out}")
    for name in names:
        file, part = folder / name, parts.get(name)
        if part is None and extra != "refuse" and (extra == "ignore" or name not in extra):
            continue
        if part is None:
            raise ValueError(
                f"{file} does not belong there: {named_by} does not name it; {way_out}"
            )
        size = file.stat().st_size
        if not file.is_file() or size != part["bytes"]:
            raise ValueError(
                f"{file} has {size} bytes and had {part['bytes']} when it was written: it was "
                f"altered or damaged; {way_out}"
            )
        if checksums and _described(file) != part:
            raise ValueError(
                f"{file} was altered after it was written: its checksum differs from the one in "
                f"{named_by}; {way_out}"
            )


def _check_table(parts: Any, named_by: str, way_out: str) -> None:
    """Refuse what is not a table of parts."""
    if not isinstance(parts, dict):
        raise ValueError(f"{named_by} holds no list of parts: it is damaged; {way_out}")
    for name, part in parts.items():
        if not isinstance(part, dict) or part.keys() != {"bytes", "blake2b"}:
            raise ValueError(
                f"{named_by}: {name} has no size and checksum: it is damaged; {way_out}"
            )


def _listed(folder: Path, way_out: str) -> dict[str, Any]:
    """The table of `LIST`: bytes and checksum of each part."""
    file = folder / LIST
    if not file.is_file():
        raise ValueError(
            f"{file} is missing: the folder holds something else, was damaged, or was written by "
            f"an older version; {way_out}"
        )
    try:
        table = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error}; {way_out}") from error
    parts = table.get("parts")
    if table.keys() != {"format", "parts"} or not isinstance(parts, dict):
        raise ValueError(f"{file} is not a list of parts: it is damaged; {way_out}")
    if table["format"] != _FORMAT:
        raise ValueError(
            f"{file} is of format {table['format']!r}, and this version reads {_FORMAT}; {way_out}"
        )
    _check_table(parts, str(file), way_out)
    if file.read_bytes() != _written(table).encode():
        raise ValueError(f"{file} was altered after it was written: it is damaged; {way_out}")
    return parts


def _written(table: dict[str, Any]) -> str:
    """The text of the list, of which there is one for each list."""
    return json.dumps(table, sort_keys=True, separators=(",", ":"))


def _names(folder: Path) -> list[str]:
    """The paths of the files in `folder`; empty sub-folders do not count, as copies lose them, nor
    does what a killed writer left."""
    return sorted(path.relative_to(folder).as_posix() for path in contents(folder))


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        seen = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
    return {"bytes": file.stat().st_size, "blake2b": seen.hexdigest()}
