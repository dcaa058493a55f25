"""JSON from files that somebody else wrote, up to a size and a depth that can be read."""

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 100 * 2**20
"""The largest JSON file that is read: 100 MiB. The largest tokenizers take about 40."""


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises:
        OSError: There is no such file, or it cannot be read.
        ValueError: It is larger than 100 MiB, is nested too deeply, or is not a JSON object.
    """
    found: dict[str, Any] = _read(file, dict)
    return found


def read_json_list(file: Path) -> list[Any]:
    """The JSON list in `file`.

    Raises:
        OSError: As `read_json`.
        ValueError: As `read_json`, or it is not a JSON list.
    """
    found: list[Any] = _read(file, list)
    return found


def parse_json(raw: bytes | str) -> dict[str, Any]:
    """The JSON object in `raw`.

    Raises:
        ValueError: It is not a JSON object; the message continues the name of the file.
    """
    found: dict[str, Any] = _parse(raw, dict)
    return found


def _read(file: Path, kind: type) -> Any:
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} is a folder, a pipe or a device, not a file")
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(
            f"{file} has {size / 2**20:.0f} MiB; JSON files of up to {MAX_BYTES / 2**20:.0f} MiB "
            "are read"
        )
    try:
        return _parse(file.read_bytes(), kind)
    except ValueError as error:
        raise ValueError(f"{file} {error}") from error


def _parse(raw: bytes | str, kind: type) -> Any:
    try:
        value = json.loads(raw)
    except RecursionError:
        raise ValueError("is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is not valid JSON: {error}") from error
    if not isinstance(value, kind):
        wanted = "object" if kind is dict else kind.__name__
        raise ValueError(f"must hold a JSON {wanted}, not {type(value).__name__}")
    return value
