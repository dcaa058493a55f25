"""Writers that are killed before each of their calls of the system, in forked processes."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

_MODULES = ("os", "shutil", "open", "tempfile", "fcntl")


def kills(
    root: Path, write: Callable[[Path], object], prepare: Callable[[Path], object]
) -> Iterator[Path]:
    """Folders that were prepared and written in, by a writer killed one call later in each; that of
    the last one got through."""
    for kill in count(1):
        place = root / str(kill)
        place.mkdir()
        prepare(place)
        killed = killed_at(partial(write, place), kill)
        yield place
        if not killed:
            return


def killed_at(write: Callable[[], object], kill: int) -> bool:
    """Run `write` in a child, killed before its `kill`-th call; False once it got through."""
    child = os.fork()
    if not child:
        _run(write, kill)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


def _run(write: Callable[[], object], kill: int) -> None:
    calls = count(1)

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event.split(".")[0] in _MODULES and next(calls) == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(watch)
        write()
        os._exit(0)
    finally:
        os._exit(1)
