"""A folder of shards: each is whole or absent, and a listing closes the folder when all are there.

    folder/  shard-00000/  …  parts.json      sizes and checksums of the shard's files
             shard-00001/  …  parts.json
             LISTING.json                      {"format": 1, …, "digest": …}: a checksum of itself

A killed writer leaves whole shards, and goes on behind the last of them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from leanformer.core.identity.digest import digest
from leanformer.core.storage.files import recover_folder, write_text
from leanformer.core.storage.json_file import read_json
from leanformer.core.storage.parts import LIST, check_parts


def shard_name(number: int) -> str:
    """The folder of a shard."""
    return f"shard-{number:05}"


def whole_shards(folder: Path) -> Iterator[Path]:
    """The shards that are whole, from the first; each is compared with its checksums.

    Raises:
        ValueError: One was altered or damaged; it is named.
    """
    number = 0
    while True:
        place = folder / shard_name(number)
        recover_folder(place)
        if not place.is_dir():
            return
        check_parts(place, f"remove {place} and those after it, and give the command again")
        yield place
        number += 1


def parts_of_shards(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Sizes and checksums of all files of some shards, from their own lists."""
    return {
        f"{name}/{file}": part
        for name in names
        for file, part in read_json(folder / name / LIST)["parts"].items()
    }


def write_table(file: Path, table: Mapping[str, Any], version: int) -> None:
    """Write a listing with a checksum of itself.

    Args:
        file: Where.
        table: JSON values by name; "format" and "digest" are not among them.
        version: Of the format.
    """
    written = {"format": version, **table}
    written["digest"] = digest(json.dumps(written, sort_keys=True))
    write_text(file, json.dumps(written, sort_keys=True))


def read_table(file: Path, version: int, unfinished: str, way_out: str) -> dict[str, Any]:
    """What `write_table` wrote.

    Args:
        file: Where.
        version: The format that is read.
        unfinished: What it means that the file is missing, for the message.
        way_out: What to do, for messages.

    Raises:
        ValueError: It is missing, damaged or of another format.
    """
    if not file.is_file():
        raise ValueError(f"{file} is missing: {unfinished}; {way_out}")
    try:
        table = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error}; {way_out}") from error
    if table.get("format") != version:
        raise ValueError(f"{file} is not of format {version}, which this version reads; {way_out}")
    own = table.pop("digest", None)
    if own != digest(json.dumps(table, sort_keys=True)):
        raise ValueError(f"{file} was altered after it was written: it is damaged; {way_out}")
    del table["format"]
    return table
