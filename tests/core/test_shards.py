"""Folders of shards: which are whole, and listings that are checked."""

from pathlib import Path

import pytest

from leanformer.core.shards import (
    parts_of_shards,
    read_table,
    shard_name,
    whole_shards,
    write_table,
)
from leanformer.core.storage.files import new_folder
from leanformer.core.storage.parts import list_parts


def write(folder: Path, number: int) -> None:
    with new_folder(folder / shard_name(number)) as place:
        (place / "a.txt").write_text(f"shard {number}")
        list_parts(place)


def test_shards_are_found_up_to_the_first_that_is_missing(tmp_path: Path) -> None:
    for number in (0, 1, 3):
        write(tmp_path, number)
    assert [place.name for place in whole_shards(tmp_path)] == ["shard-00000", "shard-00001"]
    assert set(parts_of_shards(tmp_path, ["shard-00001"])) == {"shard-00001/a.txt"}


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    for number in (0, 1):
        write(tmp_path, number)
    (tmp_path / "shard-00001" / "a.txt").write_text("shard 9")
    found = whole_shards(tmp_path)
    assert next(found).name == "shard-00000"
    with pytest.raises(ValueError, match=r"shard-00001.* and those after it"):
        next(found)


def test_a_listing_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = {"b": [1, 2], "a": {"x": None}}
    write_table(tmp_path / "list.json", table, 3)
    assert read_table(tmp_path / "list.json", 3, "unfinished", "again") == table


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda text: None, "is missing: unfinished; again"),
        (lambda text: text[:-4], "again"),
        (lambda text: text.replace('"format": 3', '"format": 4'), "is not of format 3"),
        (lambda text: text.replace("[1, 2]", "[1, 3]"), "was altered after it was written"),
    ],
)
def test_what_is_missing_or_altered_is_refused(tmp_path: Path, change, match: str) -> None:
    file = tmp_path / "list.json"
    write_table(file, {"b": [1, 2]}, 3)
    text = change(file.read_text())
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(ValueError, match=match):
        read_table(file, 3, "unfinished", "again")
