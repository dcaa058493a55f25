"""The list of the files in a folder, with sizes and checksums: damage is named before it is read.

    parts.json    {"format": 1, "parts": {"state.json": {"bytes": 812, "blake2b": "9f…"}, …}}

A file too many is refused like one too few: what reads a folder by its names would take it in.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from leanformer.core.files import write_text
from leanformer.core.json_file import read_json

LIST = "parts.json"
"""The name of the list; it does not list itself."""
_FORMAT = 1
_DIGEST_BYTES = 32


def list_parts(folder: Path) -> None:
    """Write the list of what is in `folder`, when everything else has been written."""
    parts = {name: _described(folder / name) for name in _names(folder)}
    write_text(folder / LIST, _written({"format": _FORMAT, "parts": parts}))


def check_parts(folder: Path, way_out: str) -> None:
    """Compare what is in `folder` with its list, size by size and checksum by checksum.

    Args:
        folder: What `list_parts` was called for.
        way_out: What a user can do about damage, the end of each message.

    Raises:
        ValueError: A file is missing, too many, shorter or longer, or altered; or the list itself
            is.
        OSError: A file cannot be read.
    """
    parts = _listed(folder, way_out)
    names = _names(folder)
    for name in [*parts, *names]:
        file = folder / name
        if name not in names:
            raise ValueError(f"{file} is missing, though {LIST} names it; {way_out}")
        if name not in parts:
            raise ValueError(f"{file} does not belong there: {LIST} does not name it; {way_out}")
        size = file.stat().st_size
        if not file.is_file() or size != parts[name]["bytes"]:
            raise ValueError(
                f"{file} has {size} bytes and had {parts[name]['bytes']} when it was written: it "
                f"is damaged; {way_out}"
            )
        if _described(file) != parts[name]:
            raise ValueError(
                f"{file} was altered after it was written: its checksum differs from the one in "
                f"{LIST}; {way_out}"
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
    for name, part in parts.items():
        if not isinstance(part, dict) or part.keys() != {"bytes", "blake2b"}:
            raise ValueError(f"{file}: {name} has no size and checksum: it is damaged; {way_out}")
    if file.read_bytes() != _written(table).encode():
        raise ValueError(f"{file} was altered after it was written: it is damaged; {way_out}")
    return parts


def _written(table: dict[str, Any]) -> str:
    """The text of the list, of which there is one for each list."""
    return json.dumps(table, sort_keys=True, separators=(",", ":"))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != LIST)


def _described(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        seen = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES))
    return {"bytes": file.stat().st_size, "blake2b": seen.hexdigest()}
