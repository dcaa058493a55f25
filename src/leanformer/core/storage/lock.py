"""One process at a time works on a folder of results, and a second one is told who does.

    <folder>/.leanformer.lock    {"host": …, "pid": …, "since": …, "command": …}

The file is locked, not only there: the lock of a killed process is gone with it. It is removed when
the work ends.
"""

import fcntl
import functools
import inspect
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from leanformer.core.ranks import follows
from leanformer.core.storage.disk import naming_disk, write_all
from leanformer.core.storage.unfinished import LOCK, NO_LOCKS

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_mine = threading.local()
_MOST = 2**16  # bytes that are read of what another process says of itself


class FolderInUse(OSError):
    """Another process, or another thread, works on the folder; the message says who."""


@contextmanager
def locked_folder(folder: Path, command: str = "") -> Iterator[None]:
    """Within the block nobody else works on `folder`; within the same thread blocks may be nested.

    The folder is made where it is not there, and goes again if nothing is put there. A file system
    without locks is said so in the log, and the block goes on.

    Args:
        folder: Where results go.
        command: What others are told, e.g. the command line.

    Raises:
        FolderInUse: Somebody else does.
        FileExistsError: `folder` is a file.
    """
    if follows():  # the process that leads has locked it
        yield
        return
    folder, process = folder.resolve(), os.getpid()
    held: set[Path] = _mine.__dict__.setdefault(f"folders of {process}", set())  # not of a fork
    if folder in held:
        yield
        return
    if folder.is_file():
        raise FileExistsError(f"{folder} is a file; name a folder with --out")
    made: list[Path] = []
    try:
        handle = _take(folder, made)
        held.add(folder)
        try:
            _tell(handle, folder, command)
            yield
        finally:
            held.discard(folder)
            if os.getpid() == process:  # a forked child leaves the block too, and holds nothing
                (folder / LOCK).unlink(missing_ok=True)  # while it is locked: nobody else's
            os.close(handle)
    finally:
        for place in made:
            with suppress(OSError):  # it holds results
                place.rmdir()


def one_at_a_time(folder: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function that works on a folder: its calls hold `locked_folder`.

    Args:
        folder: The parameter that names the folder. A parameter `command` is what others are told.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def held(*args: P.args, **kwargs: P.kwargs) -> T:
            given: dict[str, Any] = signature.bind(*args, **kwargs).arguments
            with locked_folder(Path(given[folder]), given.get("command", "")):
                return function(*args, **kwargs)

        return held

    return decorate


def _take(folder: Path, made: list[Path]) -> int:
    """Make a folder and lock it; what is made is put before what is in `made`."""
    while True:
        made[:0] = _make(folder)
        try:
            return _lock(folder / LOCK)
        except FileNotFoundError:  # its last holder removed it after we had made it
            continue


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; returns what was made, the deepest first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    while True:
        try:
            with naming_disk(folder):
                folder.mkdir(parents=True, exist_ok=True)
            return missing
        except FileExistsError:
            if folder.exists():
                raise
            # it was there, and its last holder removed it before it was looked at


def _lock(file: Path) -> int:
    """The descriptor of the lock file, locked."""
    while True:
        with naming_disk(file):
            handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(handle)
            os.close(handle)
            raise FolderInUse(
                f"{file.parent}: {holder} works on it; wait until it has ended, or stop it, or "
                "name another folder"
            ) from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(handle)
                raise
            _log.warning(
                "%s: its file system has no locks; see to it that no second process works there",
                file.parent,
            )
        if _is_at(file, handle):
            return handle
        os.close(handle)  # its holder removed it between our opening and our locking


def _is_at(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False


def _tell(handle: int, folder: Path, command: str) -> None:
    """Write who holds the lock."""
    about = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
    }
    with naming_disk(folder):
        os.ftruncate(handle, 0)
        write_all(handle, json.dumps(about).encode())


def _holder(handle: int) -> str:
    """Who holds the lock, in words."""
    try:
        about = json.loads(os.pread(handle, _MOST, 0))
        words = f"process {about['pid']} on {about['host']}, since {about['since']},"
        return f"{words} `{about['command']}`," if about["command"] else words
    except (ValueError, KeyError, TypeError):  # it is just writing
        return "another process"
