from pathlib import Path

import pytest

from leanformer.core.storage import json_file
from leanformer.core.storage.json_file import parse_json, read_json, read_json_list


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, {"ü": null}]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, {"ü": None}]}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", r"a\.json is not valid JSON: "),
        ("[1]", r"a\.json must hold a JSON object, not list"),
        ('{"a": ' + "1" * 5000 + "}", r"a\.json is not valid JSON: .*digits"),
        ("[" * 100_000, r"a\.json is not valid JSON: it is nested too deeply"),
        ('{"a": ' * 100_000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused(text: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=match):
        read_json(tmp_path / "a.json")


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON: .*can't decode byte 0xff"):
        read_json(tmp_path / "a.json")


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file, "MAX_BYTES", 2**20)
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(3 * 2**20)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(ValueError, match=r"a\.json has 3 MiB; JSON files of up to 1 MiB are read"):
        read_json(tmp_path / "a.json")


def test_a_list_where_one_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[1]")
    assert read_json_list(tmp_path / "a.json") == [1]
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a\.json must hold a JSON list, not dict"):
        read_json_list(tmp_path / "a.json")


def test_a_string_is_parsed_too() -> None:
    assert parse_json("{}") == {}
