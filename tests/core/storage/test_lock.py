import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from leanformer.core.storage import lock
from leanformer.core.storage.lock import FolderInUse, locked_folder, one_at_a_time
from leanformer.core.storage.unfinished import LOCK

SCRIPT = """
import sys
from pathlib import Path
from leanformer.core.storage.lock import locked_folder
with locked_folder(Path(sys.argv[1]), "leanformer compress a b"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder until its stdin is closed."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "out")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_holds_the_folder(tmp_path, holder):
    with pytest.raises(FolderInUse) as found, locked_folder(tmp_path / "out"):
        pass
    said = str(found.value)
    assert f"out: process {holder.pid} on {socket.gethostname()}, since 20" in said
    assert "`leanformer compress a b`, works on it; wait until it has ended" in said
    assert os.listdir(tmp_path / "out") == [LOCK]


def test_the_lock_of_a_killed_process_is_gone(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert os.listdir(tmp_path / "out") == [LOCK]
    with locked_folder(tmp_path / "out"):
        assert json.loads((tmp_path / "out" / LOCK).read_text())["pid"] == os.getpid()
    assert os.listdir(tmp_path / "out") == []


def test_a_folder_goes_again_unless_something_was_put_there(tmp_path):
    with locked_folder(tmp_path / "a" / "b"):
        assert os.listdir(tmp_path / "a" / "b") == [LOCK]
    assert os.listdir(tmp_path) == []
    with locked_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "result").write_text("")
    assert os.listdir(tmp_path / "a" / "b") == ["result"]


def test_one_thread_at_a_time(tmp_path):
    """Each finds the folder held, or has it alone; a lock file that was just removed is no lock."""
    inside, most, refused, turns = [], [], [], 200

    def work():
        for _ in range(turns):
            try:
                with locked_folder(tmp_path / "out"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except FolderInUse as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) + len(refused) == 4 * turns


def test_blocks_of_one_thread_may_be_nested(tmp_path):
    with locked_folder(tmp_path / "out"), locked_folder(tmp_path / "out" / "." / "work"):
        with locked_folder(tmp_path / "out" / "." / "work" / ".."):
            pass
        assert (tmp_path / "out" / LOCK).is_file()
        assert (tmp_path / "out" / "work" / LOCK).is_file()
    assert os.listdir(tmp_path) == []


def test_a_forked_child_neither_holds_the_folder_nor_gives_it_away(tmp_path):
    out = tmp_path / "out"
    with locked_folder(out):
        child = os.fork()
        if not child:
            outcome = 1
            try:
                with locked_folder(out):
                    pass
            except FolderInUse:
                outcome = 0
            finally:
                os._exit(outcome)
        assert os.waitpid(child, 0)[1] == 0
        block = locked_folder(tmp_path / "other")
        block.__enter__()
        child = os.fork()
        if not child:
            try:
                block.__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert (tmp_path / "other" / LOCK).is_file()
        block.__exit__(None, None, None)
    assert not (tmp_path / "other").exists()


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("precious")
    with (
        pytest.raises(FileExistsError, match="is a file; name a folder"),
        locked_folder(tmp_path / "out"),
    ):
        pass


def test_a_decorated_function_holds_its_folder(tmp_path):
    @one_at_a_time("out")
    def work(value: int, out: Path, *, command: str = "") -> int:
        assert json.loads((out / LOCK).read_text())["command"] == command
        return value + 1

    assert work(1, tmp_path / "out", command="leanformer run") == 2
    assert work(value=2, out=tmp_path / "out") == 3


def test_a_file_system_without_locks_is_said_once(tmp_path, monkeypatch, caplog):
    def no_locks(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    with locked_folder(tmp_path / "out"):
        pass
    assert [line.getMessage() for line in caplog.records] == [
        f"{tmp_path / 'out'}: its file system has no locks; see to it that no second process works "
        "there"
    ]


def test_another_fault_of_the_lock_is_told(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(lock.fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"), locked_folder(tmp_path / "out"):
        pass


def test_a_holder_that_is_just_writing_is_another_process(tmp_path, holder):
    (tmp_path / "out" / LOCK).write_text('{"host": "a"')
    said = "out: another process works on it"
    with pytest.raises(FolderInUse, match=said), locked_folder(tmp_path / "out"):
        pass


def test_a_folder_that_goes_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    """Its last holder, which had made it, removes it between our making and our locking."""
    out, own, tried = tmp_path / "above" / "out", lock._lock, []

    def late(file):
        tried.append(file)
        if len(tried) == 1:
            out.rmdir()
        return own(file)

    monkeypatch.setattr(lock, "_lock", late)
    with locked_folder(out):
        assert (out / LOCK).is_file()
    assert len(tried) == 2
    assert not (tmp_path / "above").exists()  # nothing was put there
