"""A command that is stopped by a signal, while it writes and waits for a child process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leanformer.cli.stopping import Stopped, stopped_by_signals

SCRIPT = """
import signal, sys
from pathlib import Path
from leanformer import cli
from leanformer.core.storage.files import new_folder
from leanformer.core.storage.lock import locked_folder
from leanformer.core.machine.child import call_in_child

@cli.app.command("wait")
def wait(out: Path) -> None:
    with locked_folder(out), new_folder(out / "model") as folder:
        (folder / "half").write_text("")
        try:
            call_in_child("signal:pause", {})
        finally:
            print("ending", flush=True)
            SLOW and signal.sigtimedwait([signal.SIGUSR1], 20)

cli.main()
"""


@pytest.fixture
def waiting(tmp_path):
    """Starts a command, waits until its child is there, and gives both processes."""
    started = []

    def start(slow=False, **options):
        words = [sys.executable, "-c", SCRIPT.replace("SLOW", str(slow)), "wait", tmp_path / "out"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(words, **{"preexec_fn": _as_usual, **pipes, **options})
        started.append(process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text().split():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        child = int(children.read_text().split()[0])
        command = Path(f"/proc/{child}/cmdline")
        while b"signal:pause" not in command.read_bytes():  # it is still its parent's copy
            time.sleep(0.02)
        return process, child

    yield start
    for process in started:
        process.kill()
        process.wait()


def _as_usual():
    """Whoever runs the tests may ignore the signal, as nohup does."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def is_gone(pid):
    """Whether a process ends within some seconds; one that its parent has not waited for is."""
    for _ in range(200):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_the_command_its_children_and_what_it_wrote(waiting, tmp_path, number, code):
    process, child = waiting()
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert said == "stopped; the same command goes on from here\n"
    assert is_gone(child)
    assert os.listdir(tmp_path) == []


def test_the_child_of_a_killed_command_ends_too(waiting, tmp_path):
    process, child = waiting()
    process.kill()
    assert is_gone(child)


def test_a_second_signal_interrupts_the_ending(waiting, tmp_path):
    process, child = waiting(slow=True)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143
    assert said == "stopped; the same command goes on from here\n"
    assert is_gone(child)


def test_a_signal_that_is_ignored_stays_ignored(waiting):
    """As under nohup."""
    process, _ = waiting(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143


@pytest.mark.parametrize("ranks", [1, 2])
def test_only_a_process_without_others_loses_patience_at_a_second_signal(monkeypatch, ranks):
    monkeypatch.setenv("WORLD_SIZE", str(ranks))
    with stopped_by_signals() as signals, signals.patience() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGTERM)
        assert asked()
        with pytest.raises(Stopped) if ranks == 1 else contextlib.nullcontext():
            signal.raise_signal(signal.SIGTERM)
    assert signals.came == [signal.SIGTERM] * 2


def test_the_handlers_of_before_are_there_afterwards():
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    with pytest.raises(Stopped), stopped_by_signals() as signals:
        assert signals.code == 130
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            assert signals.code == 143
            signals.let_go()
            assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    assert before == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]


LOST_STACK = """
import ctypes, mmap, os, signal
from leanformer import cli

class Stack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

@cli.app.command("wait")
def wait() -> None:
    memory = mmap.mmap(-1, 2**16)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert not ctypes.CDLL(None).sigaltstack(ctypes.byref(Stack(start, 0, 2**16)), None)
    assert not ctypes.CDLL(None).munmap(ctypes.c_void_p(start), ctypes.c_size_t(2**16))
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()

cli.main()
"""


def test_a_stack_for_signals_that_a_library_took_away_is_not_used():
    """OpenVINO gives the main thread one, and unmaps it with its CPU plugin."""
    words = [sys.executable, "-c", LOST_STACK, "wait"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 143
    assert ended.stderr == "stopped; the same command goes on from here\n"
