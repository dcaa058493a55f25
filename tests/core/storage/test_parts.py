import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.storage.parts import LIST, check_parts, compare_parts, list_parts, parts_of

PARTS = {
    "a.bin": bytes(range(256)),
    "b.json": b'{"b": 1}',
    "empty": b"",
    "1_Pooling/config.json": b"{}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_parts(tmp_path)
    list_parts(tmp_path)
    return tmp_path


def write_parts(folder: Path) -> None:
    (folder / "1_Pooling").mkdir()
    for name, data in PARTS.items():
        (folder / name).write_bytes(data)


def rewritten(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def changed(folder: Path) -> None:
        table = json.loads((folder / LIST).read_text())
        change(table)
        (folder / LIST).write_text(json.dumps(table))

    return changed


def test_what_was_listed_is_whole(folder: Path) -> None:
    check_parts(folder, "go")
    assert set(json.loads((folder / LIST).read_text())["parts"]) == set(PARTS)
    list_parts(folder)
    check_parts(folder, "go")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "a.bin").unlink(), r"a\.bin is missing, though parts\.json names it; go"),
        (lambda f: (f / "c").write_text(""), r"/c does not belong there: parts\.json does not"),
        (lambda f: (f / "c").symlink_to(f / "a.bin"), r"/c does not belong there"),
        (lambda f: (f / "a.bin").write_bytes(b"1"), r"a\.bin has 1 bytes and had 256 when"),
        (lambda f: (f / "b.json").write_bytes(b'{"b": 2}'), r"b\.json was altered after"),
        (lambda f: (f / LIST).unlink(), r"parts\.json is missing: the folder holds something else"),
        (lambda f: (f / LIST).write_text("{"), r"parts\.json is not valid JSON.*; go"),
        (lambda f: (f / LIST).write_bytes(b"\xff"), r"parts\.json is not valid JSON.*; go"),
        (lambda f: (f / LIST).write_text("[]"), r"must hold a JSON object, not list; go"),
        (lambda f: (f / LIST).write_text("{}"), r"parts\.json is not a list of parts"),
        (rewritten(lambda t: t.update(parts=[])), r"parts\.json is not a list of parts"),
        (rewritten(lambda t: t.update(format=2)), r"is of format 2, and this version reads 1; go"),
        (rewritten(lambda t: None), r"parts\.json was altered after it was written"),
        (rewritten(lambda t: t["parts"].update(empty=0)), "empty has no size and checksum"),
        (
            lambda f: (f / "1_Pooling/config.json").unlink(),
            r"1_Pooling/config\.json is missing, though parts\.json names it; go",
        ),
        (lambda f: (f / "1_Pooling/x").write_text(""), r"1_Pooling/x does not belong there"),
    ],
)
def test_damage_is_named_with_the_way_out(
    folder: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message):
        check_parts(folder, "go")


@given(
    name=st.sampled_from(["a.bin", "b.json", "1_Pooling/config.json", LIST]),
    at=st.integers(0),
    bit=st.integers(0, 7),
)
def test_no_bit_turns_unseen(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    write_parts(folder)
    list_parts(folder)
    data = bytearray((folder / name).read_bytes())
    data[at % len(data)] ^= 1 << bit
    (folder / name).write_bytes(data)
    with pytest.raises(ValueError, match="; go"):
        check_parts(folder, "go")


def test_a_table_kept_elsewhere_describes_the_whole_folder(tmp_path: Path) -> None:
    write_parts(tmp_path)
    (tmp_path / "2_Normalize").mkdir()
    parts = json.loads(json.dumps(parts_of(tmp_path)))
    assert {name: part["bytes"] for name, part in parts.items()} == {
        name: len(data) for name, data in PARTS.items()
    }
    compare_parts(tmp_path, parts, "go")
    (tmp_path / "2_Normalize").rmdir()
    compare_parts(tmp_path, parts, "go")


def test_what_a_table_does_not_name_may_be_ignored(folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    check_parts(folder, "go", extra="ignore")
    parts = parts_of(folder)
    del parts["README.md"]
    with pytest.raises(ValueError, match=r"README\.md does not belong there: done\.json does not"):
        compare_parts(folder, parts, "go", named_by="done.json")


@pytest.mark.parametrize("parts", [None, [], "a.bin"])
def test_what_is_not_a_table_of_parts_is_refused(tmp_path: Path, parts: object) -> None:
    with pytest.raises(ValueError, match=r"done\.json holds no list of parts: it is damaged; go"):
        compare_parts(tmp_path, parts, "go", named_by="done.json")


def test_a_folder_that_is_gone_lacks_its_parts(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ValueError, match=r"gone/1_Pooling/config\.json is missing"):
        compare_parts(tmp_path / "gone", parts_of(folder), "go")


def test_sizes_alone_are_compared_where_checksums_take_too_long(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"abc")
    list_parts(tmp_path)
    (tmp_path / "large").write_bytes(b"abd")
    check_parts(tmp_path, "fetch it again", checksums=False)
    with pytest.raises(ValueError, match="large was altered after it was written"):
        check_parts(tmp_path, "fetch it again")
    (tmp_path / "large").write_bytes(b"ab")
    with pytest.raises(ValueError, match="large has 2 bytes and had 3"):
        check_parts(tmp_path, "fetch it again", checksums=False)
