"""Writers of a folder that are killed at each of their steps: a whole folder is always left."""

from pathlib import Path

import pytest
from killed_writers import kills

from leanformer.core.storage import files, several_files, unfinished


def replace_folder(target: Path) -> None:
    with files.new_folder(target, overwrite=True) as folder:
        (folder / "one").write_text("new")
        (folder / "two").write_text("new")


def held(target: Path) -> set[str]:
    return {f"{file.name} {file.read_text()}" for file in target.iterdir()}


OLD, NEW = {"one old", "two old"}, {"one new", "two new"}


def texts(folder: Path) -> dict[str, str]:
    """The files of a folder, hidden ones too, with what they say."""
    return {file.name: file.read_text() for file in folder.iterdir()}


@pytest.mark.parametrize("there", [True, False])
def test_a_kill_at_any_moment_leaves_a_whole_folder(tmp_path: Path, there: bool) -> None:
    def prepare(place: Path) -> None:
        if there:
            (place / "out").mkdir()
            for name in ("one", "two"):
                (place / "out" / name).write_text("old")

    seen = []
    for place in kills(tmp_path, lambda place: replace_folder(place / "out"), prepare):
        target = place / "out"
        files.recover_folder(target)
        seen.append(held(target) if target.exists() else set())
        assert seen[-1] in (NEW, OLD if there else set()), place
        assert {path.name for path in place.iterdir()} <= {"out"}, place
        replace_folder(target)
        assert held(target) == NEW
        assert [path.name for path in place.iterdir()] == ["out"], place
    assert seen == sorted(seen, key=lambda parts: parts == NEW)  # old up to a moment, new from then
    assert seen[0] != NEW
    assert seen[-1] == NEW
    assert len(seen) > 10


@pytest.mark.parametrize("there", [True, False])
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path, there: bool) -> None:
    def prepare(place: Path) -> None:
        if there:
            (place / "out.json").write_text("old")

    seen = []
    for place in kills(
        tmp_path, lambda place: files.write_text(place / "out.json", "new"), prepare
    ):
        target = place / "out.json"
        seen.append(target.read_text() if target.exists() else "")
        assert seen[-1] in ("new", "old" if there else ""), place
        assert unfinished.contents(place) == ([target] if seen[-1] else [])
        assert files.is_empty(place) == (not seen[-1])
        files.write_text(target, "newer")
        assert texts(place) == {"out.json": "newer"}
    assert seen[-1] == "new"
    assert len(seen) > 5


@pytest.mark.parametrize("there", [True, False])
def test_a_kill_at_any_moment_leaves_whole_files(tmp_path: Path, there: bool) -> None:
    """A graph and its weights, beside another graph: never one of each writer."""
    other = {"b.xml": "old"}
    old = {**other, **({"a.xml": "old", "a.bin": "old"} if there else {})}
    new = {**other, "a.xml": "new", "a.bin": "new"}

    def prepare(place: Path) -> None:
        for name, text in old.items():
            (place / name).write_text(text)

    def write(place: Path) -> None:
        with several_files.new_files(place, "a.xml", overwrite=True) as path:
            path.write_text("new")
            path.with_suffix(".bin").write_text("new")

    seen = []
    for place in kills(tmp_path, write, prepare):
        foreign = {file.name: file.read_text() for file in unfinished.contents(place)}
        assert "a.xml" not in foreign or foreign in (old, new), place  # a reader not of ours
        files.recover_folder(place)
        seen.append(texts(place))
        assert seen[-1] in (old, new), place
        write(place)
        assert texts(place) == new
    assert seen == sorted(seen, key=lambda parts: parts == new)
    assert seen[0] == old
    assert seen[-1] == new
    assert len(seen) > 10


@pytest.mark.parametrize("there", [True, False])
def test_a_whole_copy_takes_its_place(tmp_path: Path, there: bool) -> None:
    target = tmp_path / "out"
    for place, text in {".out.finished": "new", **({"out": "old"} if there else {})}.items():
        (tmp_path / place).mkdir()
        (tmp_path / place / "one").write_text(text)
    (tmp_path / ".out.replaced-0123").mkdir()
    (tmp_path / ".out.unfinished-4567").mkdir()
    (tmp_path / ".other.unfinished-4567").mkdir()  # another folder's
    files.recover_folder(target)
    assert held(target) == {"one new"}
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".other.unfinished-4567"}


def test_a_new_writer_sweeps_and_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "out"
    (tmp_path / ".out.unfinished-4567").mkdir()
    with files.new_folder(target, overwrite=True) as folder:
        (folder / "one").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with files.new_folder(target) as folder:
        (folder / "one").write_text("first")
        files.recover_folder(target)
        assert held(folder) == {"one first"}
        folder.rename(tmp_path / ".out.finished")  # between its two renames
        files.recover_folder(target)
        assert not target.exists()
        (tmp_path / ".out.finished").rename(folder)
    assert held(target) == {"one first"}


def test_litter_is_neither_content_nor_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".request.json.unfinished-abcd1234").write_text("half")
    (folder / ".openvino_model.xml.unfinished-abcd1234").mkdir()
    (folder / unfinished.LOCK).write_text("")
    assert files.is_empty(folder)
    assert unfinished.contents(folder) == []
    with files.new_folder(folder) as temporary:
        (temporary / "one").write_text("new")
    assert held(folder) == {"one new"}
    (folder / ".hidden").write_text("of the user")
    assert not files.is_empty(folder)
    assert unfinished.contents(folder) == [folder / ".hidden", folder / "one"]


def test_a_reader_sweeps_inside_what_it_opens(tmp_path: Path) -> None:
    graphs = tmp_path / "model" / "openvino"
    graphs.mkdir(parents=True)
    (tmp_path / "model" / ".leanformer.json.unfinished-abcd1234").write_text("half")
    (graphs / ".a.xml.unfinished-abcd1234").mkdir()
    (graphs / ".a.xml.finished-files").mkdir()
    (graphs / ".a.xml.finished-files" / "a.xml").write_text("graph")
    files.recover_folder(tmp_path / "model")
    assert unfinished.contents(tmp_path) == [graphs / "a.xml"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.xml", "model", "openvino"]


def test_of_two_writers_of_a_new_folder_the_second_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(FileExistsError, match="not empty"), files.new_folder(target) as second:
        (second / "one").write_text("second")
        (tmp_path / "first").mkdir()
        (tmp_path / "first" / "one").write_text("first")
        (tmp_path / "first").rename(target)
    assert held(target) == {"one first"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_to_a_folder_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    replace_folder(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert held(tmp_path / "real") == NEW


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_interrupt_between_renames_leaves_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "one").write_text("old")
    calls, rename = [], files.os.replace

    def interrupted(*names: Path) -> None:
        calls.append(names)
        if len(calls) == number:
            raise KeyboardInterrupt
        rename(*names)

    monkeypatch.setattr(files.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), files.new_folder(target, overwrite=True) as folder:
        (folder / "one").write_text("new")
    monkeypatch.undo()
    files.recover_folder(target)
    assert held(target) == ({"one new"} if number == 3 else {"one old"})
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_system_without_locks_has_one_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(unfinished.fcntl, "flock", no_locks)
    (tmp_path / ".out.unfinished-4567").mkdir()
    with files.new_folder(tmp_path / "out") as folder:
        (folder / "one").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_locks_a_reader_leaves_what_may_be_a_living_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(unfinished.fcntl, "flock", no_locks)
    with files.new_folder(tmp_path / "out") as folder:
        (folder / "one").write_text("new")
        files.recover_folder(tmp_path / "out")
        assert folder.is_dir()
    (tmp_path / "out").rename(tmp_path / ".out.finished")
    files.recover_folder(tmp_path / "out")  # there is nothing else to read
    assert held(tmp_path / "out") == {"one new"}


def test_a_reader_who_may_change_nothing_reads_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    (tmp_path / ".out.finished").mkdir()
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(files.os, "replace", read_only)
    monkeypatch.setattr(unfinished.shutil, "rmtree", read_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "remove", lambda _: None)
        files.recover_folder(tmp_path / "out")
    (tmp_path / "out").rmdir()
    with pytest.raises(OSError, match="Read-only"):
        files.recover_folder(tmp_path / "out")
