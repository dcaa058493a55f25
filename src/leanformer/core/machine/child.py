"""Call a function in a child process, where a crash costs nothing.

On a CPU that its authors did not try, a runtime may die of an illegal instruction or a division by
zero, or hang. In a child that is an exit code with a reason; in this process it would end the work.
The child imports from leanformer's own location and from the installed packages, never from the
working folder: a file called `random.py` beside the data is not run.

A passing fault (no memory, no thread, no space on the disk, a signal to stop) says nothing about
what was tried. It is an error of its own, so that nobody records it as a decision.

No child outlives its parent: an exception in the parent, such as that of Ctrl-C, ends the child,
and the kernel ends it where the parent is killed.
"""

import contextlib
import ctypes
import errno
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from leanformer.core.storage.disk import disk_full, lack_of_space

_PAUSE = 2.0  # seconds
_LATER = "free some, and give the same command again: it goes on from here"
_ROOT = Path(__file__).resolve().parents[3]
_NO_PROCESS = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_PASSING = (
    "MemoryError",
    "bad_alloc",
    "Cannot allocate memory",
    "Resource temporarily unavailable",
    "can't start new thread",
    "Too many open files",
)
_STOPPED = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_TRACEBACK = "Traceback (most recent call last):\n"
_TERMINATED = "terminate called"
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


class ChildFailed(RuntimeError):
    """A child died, hung or raised; the message says how, in one line."""


class PassingFault(OSError):
    """A child failed for want of memory, threads or disk: trying again later may help."""


def call_in_child(target: str, arguments: dict[str, Any], *, seconds: float = 600) -> Any:
    """Call a function in a new process and return its result, which goes through JSON.

    Args:
        target: "module:function", of leanformer.
        arguments: Its keyword arguments; values that JSON can hold.
        seconds: Time limit; a call that takes longer counts as hung.

    Raises:
        ChildFailed: The child crashed, hung, or the function raised.
        PassingFault: It failed for want of memory or threads or was stopped by a signal, and so
            did a second attempt.
        DiskFull: It had no space for a file.
    """
    try:
        return _call(target, arguments, seconds)
    except PassingFault:
        time.sleep(_PAUSE)
        return _call(target, arguments, seconds)


def _call(target: str, arguments: dict[str, Any], seconds: float) -> Any:
    parent = str(os.getpid())
    command = [sys.executable, "-P", "-m", "leanformer.core.machine.child", target, parent]
    try:
        ended = subprocess.run(
            command,
            input=json.dumps(arguments).encode(),
            capture_output=True,
            timeout=seconds,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"did not answer within {seconds:g} s") from None
    except (OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_PROCESS:
            raise
        raise PassingFault(f"no process could be started ({error}); {_LATER}") from error
    words = ended.stderr.decode(errors="replace")
    reason = reason_of(ended.returncode, words)
    if not reason:
        if not ended.stdout:
            raise ChildFailed("ended without an answer")
        return json.loads(ended.stdout)
    raised = exception_of(words)
    if words_of_disk := lack_of_space(raised):
        raise disk_full("a file of a child process", words_of_disk)
    if ended.returncode in _STOPPED or any(sign in raised for sign in _PASSING):
        raise PassingFault(
            f"a process failed for want of memory, threads or disk ({reason}); {_LATER}"
        )
    raise ChildFailed(reason)


def reason_of(code: int, stderr: str) -> str:
    """Why a process failed, from its exit code and the last line of stderr; "" for success."""
    if code == 0:
        return ""
    if code < 0:
        return f"crashed with {signal.Signals(-code).name}"
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"ended with exit code {code}"


def exception_of(stderr: str) -> str:
    """What ended a process: the lines of its last exception and of those that caused it, or the
    words of C++ at its end; never what a library logged on the way.

    Args:
        stderr: All that the process wrote to stderr.
    """
    parts = stderr.split(_TRACEBACK)
    if len(parts) == 1:
        begin = stderr.rfind(_TERMINATED)
        return stderr[begin:] if begin >= 0 else "".join(stderr.strip().splitlines()[-1:])
    raised = [_message(parts[-1])]
    for part in reversed(parts[1:-1]):
        if not part.rstrip().endswith(_CHAINED):
            break
        raised.append(_message(part))
    return "\n".join(raised)


def _message(part: str) -> str:
    """The lines of an exception behind the frames of its traceback, which are indented."""
    lines = part.splitlines()
    begin = next((i for i, line in enumerate(lines) if line.strip() and line[:1] != " "), 0)
    return "\n".join(line for line in lines[begin:] if not line.strip().endswith(_CHAINED))


def _answer(target: str, parent: int) -> None:
    """Call the function; what libraries print goes to stderr, stdout holds the answer alone."""
    _end_with(parent)
    arguments = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        module, _, name = target.partition(":")
        with contextlib.redirect_stdout(sys.stderr):
            result = getattr(importlib.import_module(module), name)(**arguments)
        answer.write(json.dumps(result).encode())


def _end_with(parent: int) -> None:
    """Have Linux kill this process when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before that
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _answer(sys.argv[1], int(sys.argv[2]))
