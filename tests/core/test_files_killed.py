"""Writers of a folder that are killed at each of their steps: a whole folder is always left."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leanformer.core import files

SCRIPT = """
import os, signal, sys
from pathlib import Path
from leanformer.core.files import new_folder

count = -1

def killed(event, args):
    global count
    if event.split(".")[0] in ("os", "shutil", "open", "tempfile", "fcntl") and count >= 0:
        count += 1
        if count == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(killed)
target = Path(sys.argv[1])
count = 0
with new_folder(target, overwrite=True) as folder:
    (folder / "one").write_text("new")
    (folder / "two").write_text("new")
"""


def write(target: Path, kill: int) -> int:
    """Replace `target` in another process, killed before its `kill`-th call of the system."""
    command = [sys.executable, "-c", SCRIPT, str(target), str(kill)]
    return subprocess.run(command, check=False).returncode


def held(target: Path) -> set[str]:
    return {f"{file.name} {file.read_text()}" for file in target.iterdir()}


OLD, NEW = {"one old", "two old"}, {"one new", "two new"}


def test_a_kill_at_any_moment_leaves_a_whole_folder(tmp_path: Path) -> None:
    seen = []
    for kill in range(1, 100):
        target = tmp_path / str(kill) / "out"
        target.mkdir(parents=True)
        for name in ("one", "two"):
            (target / name).write_text("old")
        code = write(target, kill)
        files.recover_folder(target)
        assert held(target) in (OLD, NEW), kill
        assert [path.name for path in target.parent.iterdir()] == ["out"], kill
        seen.append(held(target))
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert seen == sorted(seen, key=lambda parts: parts == NEW)  # old up to a moment, new from then
    assert OLD in seen
    assert seen[-1] == NEW
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

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    (tmp_path / ".out.unfinished-4567").mkdir()
    with files.new_folder(tmp_path / "out") as folder:
        (folder / "one").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
