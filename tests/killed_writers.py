"""A writer that is killed before its k-th call of the system, in a forked process."""

import os
import signal
import sys
from collections.abc import Callable

_MODULES = ("os", "shutil", "open", "tempfile", "fcntl")


def killed_at(write: Callable[[], object], kill: int) -> bool:
    """Run `write` in a child, killed before its `kill`-th call; False once it got through."""
    child = os.fork()
    if not child:
        _run(write, kill)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def _run(write: Callable[[], object], kill: int) -> None:
    count = 0

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal count
        if event.split(".")[0] in _MODULES:
            count += 1
            if count == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(watch)
        write()
        os._exit(0)
    finally:
        os._exit(1)
