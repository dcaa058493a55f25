import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from leanformer.core.machine import child
from leanformer.core.machine.child import ChildFailed, PassingFault, call_in_child, reason_of
from leanformer.core.storage.disk import DiskFull, naming_disk

ME = "core.machine.test_child"


def called(name: str, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Any:
    """A function of this file, called in a child that finds it."""
    monkeypatch.setattr(child, "_ROOT", f"{child._ROOT}{os.pathsep}{Path(__file__).parents[2]}")
    monkeypatch.setattr(child, "_PAUSE", 0.0)
    return call_in_child(f"{ME}:{name}", arguments, seconds=arguments.pop("seconds", 60))


def add(first: int, second: list[int]) -> dict[str, int]:
    print("a library that talks")
    os.write(1, b"even past Python\n")
    return {"sum": first + sum(second)}


def crash() -> None:
    os.kill(os.getpid(), signal.SIGFPE)


def refuse() -> None:
    raise ValueError("no such thing")


def hang() -> None:
    signal.pause()


def leave() -> None:
    os._exit(0)


def run_out(marks: str) -> None:
    with open(marks, "a") as file:
        file.write("tried\n")
    raise MemoryError("std::bad_alloc")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def where() -> list[str]:
    return [*sys.path, os.getcwd()]


def test_arguments_and_results_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called("add", monkeypatch, first=1, second=[2, 3]) == {"sum": 6}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", "crashed with SIGFPE"),
        ("refuse", "ValueError: no such thing"),
        ("leave", "ended without an answer"),
    ],
)
def test_a_child_that_fails_says_how(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ChildFailed, match=reason):
        called(name, monkeypatch)


def test_a_hang_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_ROOT", f"{child._ROOT}{os.pathsep}{Path(__file__).parents[2]}")
    with pytest.raises(ChildFailed, match=r"did not answer within 1 s"):
        call_in_child(f"{ME}:hang", {}, seconds=1)


def test_a_fault_that_passes_is_tried_again_and_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(PassingFault, match=r"for want of memory, threads or disk.*bad_alloc"):
        called("run_out", monkeypatch, marks=str(tmp_path / "marks"))
    assert (tmp_path / "marks").read_text() == "tried\ntried\n"
    with pytest.raises(PassingFault, match="SIGKILL"):
        called("killed", monkeypatch)


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_no_room_for_a_process_is_a_fault_that_passes(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(child.subprocess, "run", none)
    monkeypatch.setattr(child, "_PAUSE", 0.0)
    with pytest.raises(PassingFault, match="no process could be started"):
        call_in_child(f"{ME}:add", {})


def test_a_python_that_is_not_there_is_not_a_fault_that_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError, match="/no/such/python"):
        call_in_child(f"{ME}:add", {})


def test_a_child_never_imports_from_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file named like a module of Python lies beside the data, and the user's paths name it."""
    for name in ("random.py", "json.py", "numpy.py"):
        (tmp_path / name).write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.pathsep}.")
    monkeypatch.syspath_prepend(str(tmp_path))
    places = called("where", monkeypatch)
    assert places.pop() == str(tmp_path)
    assert not {"", ".", str(tmp_path)} & set(places)


@pytest.mark.parametrize(
    ("code", "words", "reason"),
    [
        (0, "noise", ""),
        (-8, "", "crashed with SIGFPE"),
        (-11, "", "crashed with SIGSEGV"),
        (1, "Traceback\n\nImportError: no such thing\n", "ImportError: no such thing"),
        (3, "", "ended with exit code 3"),
    ],
)
def test_reasons(code: int, words: str, reason: str) -> None:
    assert reason_of(code, words) == reason


TRACE = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'


@pytest.mark.parametrize(
    ("stderr", "counts", "not_counts"),
    [
        (f"WARNING: No space left on device\n{TRACE}ValueError: bad\nsecond line\n", "bad\nsecond", "No space"),
        (f"{TRACE}OSError: No space left on device\n", "No space left", "WARNING"),
        (
            f"{TRACE}MemoryError: x\n\nThe above exception was the direct cause of the following "
            f"exception:\n\n{TRACE}RuntimeError: no\n",
            "MemoryError: x", "above exception",
        ),
        (f"{TRACE}MemoryError: logged\nINFO: went on\n{TRACE}ValueError: bad\n", "bad", "MemoryError"),
        ("Too many open files, once\nterminate called after\n  what():  std::bad_alloc\n", "bad_alloc", "Too many"),
        ("MemoryError was caught\nthe last word\n", "the last word", "MemoryError"),
        ("", "", "x"),
    ],
)  # fmt: skip
def test_only_the_lines_of_the_exception_count(stderr: str, counts: str, not_counts: str) -> None:
    raised = child.exception_of(stderr)
    assert counts in raised
    assert not_counts not in raised


def warn_and_refuse() -> None:
    print("No space left on device, said a library and went on", file=sys.stderr)
    raise ValueError("no such thing")


def test_what_a_library_logged_is_no_passing_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChildFailed, match="ValueError: no such thing"):
        called("warn_and_refuse", monkeypatch)


def fill() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = "graph.xml could not be written: No space left on device; free some space"
    with pytest.raises(DiskFull, match=said), naming_disk(tmp_path / "graph.xml"):
        called("fill", monkeypatch)


def terminated() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_child_that_was_stopped_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PassingFault, match="SIGTERM"):
        called("terminated", monkeypatch)
