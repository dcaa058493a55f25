"""JSON from files that somebody else wrote: an object, of a size and a depth that can be read."""

import json
from pathlib import Path
from typing import Any

MAX_BYTES = 100 * 2**20
"""The largest JSON file that is read: 100 MiB. The largest tokenizers have about 40."""


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in `file`.

    Raises:
        ValueError: The file is larger than 100 MiB, is nested too deeply, or is not a JSON object.
    """
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(
            f"{file} has {size / 2**20:.0f} MiB; JSON files of up to {MAX_BYTES / 2**20:.0f} MiB "
            "are read"
        )
    try:
        return parse_json(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file} {error}") from error


def parse_json(raw: bytes | str) -> dict[str, Any]:
    """The JSON object in `raw`.

    Raises:
        ValueError: It is not a JSON object; the message continues the name of the file.
    """
    try:
        value = json.loads(raw)
    except RecursionError:
        raise ValueError("is no valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"must hold a JSON object, not {type(value).__name__}")
    return value
