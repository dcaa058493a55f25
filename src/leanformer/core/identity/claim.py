"""A folder belongs to one piece of work, which a file in it describes by content.

    recipe.json, request.json    {"content": {"begins": {…}, …}, …}

What a piece of work begins with (`begins`) makes it another one; what else changes is for its owner
to go on with.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanformer.core.identity.differences import differences, listed
from leanformer.core.storage.files import write_text
from leanformer.core.storage.json_file import read_json


def changes(kept: Path, content: Mapping[str, Any], words: Mapping[str, str]) -> list[str] | None:
    """How the work that is asked for differs from the one that its folder holds.

    Args:
        kept: The file that describes what the folder holds.
        content: The identity of what is asked for, with `begins`.
        words: What a reader calls the places of digests.

    Returns:
        The differences in words; None where the folder holds none yet.

    Raises:
        ValueError: They begin with other things, which are named; or the file is damaged.
    """
    if not kept.is_file():
        return None
    held = read_json(kept).get("content")
    if not isinstance(held, dict) or not isinstance(held.get("begins"), dict):
        raise ValueError(
            f"{kept} does not say what the work in this folder is of: it is damaged, or of an "
            "older version; name another folder, or remove this one"
        )
    if others := differences(held["begins"], content["begins"], words):
        raise ValueError(
            f"{kept.parent} holds other work, which differs in {listed(others)}; name another "
            "folder, or change that back to go on"
        )
    return differences(held, content, words)


def keep(kept: Path, about: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Describe the work of a folder: what was asked for, as it was written, and its content."""
    table = {"asked": about, "content": content}
    write_text(kept, json.dumps(table, indent=1, sort_keys=True))
