"""TOML that somebody wrote by hand, up to a size and a depth that can be read."""

import tomllib
from pathlib import Path
from typing import Any

from leanformer.core.shown import one_line

MAX_BYTES = 2**20
"""The largest recipe that is read."""


def read_recipe(path: Path) -> dict[str, Any]:
    """The table in a recipe.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is larger than 1 MiB, is nested too deeply, or is not TOML.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such recipe")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size:,} bytes are not a recipe")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path}: not TOML that can be read: it is nested too deeply") from None
    except ValueError as error:  # of the bytes, of TOML, of a number of thousands of digits
        raise ValueError(f"{path}: not valid TOML ({one_line(error)})") from error
