"""What is being written: its name, the lock of its writer, and what becomes of it after a kill.

    .NAME.unfinished-CHANCE   a file or folder on its way to NAME
    .NAME.finished            a whole folder, about to become NAME
    .NAME.finished-files      whole files, about to be placed beside this folder, NAME last
    .NAME.replaced-CHANCE     a former NAME, to be removed

A writer holds a lock on its file or folder. A killed writer's lock is gone, which is how litter is
told from work: whoever writes or opens NAME next sweeps the litter.
"""

import errno
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leanformer.core.storage.disk import make_durable

LOCK = ".leanformer.lock"
"""The file in a folder that tells who works there (`leanformer.core.storage.lock`)."""
_UNFINISHED, _REPLACED = "unfinished-", "replaced-"
_LITTER = re.compile(r"\..+\.(unfinished-\w+|finished(-files)?|replaced-\w+)", re.ASCII)
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
"""Errors of a file system that has no locks."""


def is_content(path: Path) -> bool:
    """Whether a name is what somebody keeps, and neither unfinished nor the lock of a folder."""
    return path.name != LOCK and _LITTER.fullmatch(path.name) is None


def contents(folder: Path) -> list[Path]:
    """All files below `folder` that somebody keeps, sorted: without what writers left."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if is_content(Path(name))]
        found += [Path(place) / name for name in files if is_content(Path(name))]
    return sorted(found)


def is_empty(folder: Path) -> bool:
    """Whether nothing is in `folder` that somebody keeps."""
    return not any(is_content(path) for path in folder.iterdir())


def finished(path: Path) -> Path:
    """Where a whole folder lies that is about to become `path`."""
    return path.with_name(f".{path.name}.finished")


def replaced(path: Path) -> Path:
    """A new name for what was at `path` before."""
    return path.with_name(f".{path.name}.{_REPLACED}{secrets.token_hex(4)}")


@contextmanager
def begun_folder(path: Path) -> Iterator[Path]:
    """A new folder beside `path` for what will be there, locked for as long as its writer lives."""

    def make(prefix: str) -> tuple[Path, int]:
        place = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix))
        return place, os.open(place, os.O_RDONLY)

    with _begun(path, make) as (place, _):
        yield place


@contextmanager
def begun_file(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file beside `path` for what will be there, as `begun_folder`; with its descriptor."""

    def make(prefix: str) -> tuple[Path, int]:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
        return Path(name), handle

    with _begun(path, make) as begun:
        yield begun


@contextmanager
def _begun(path: Path, make: Callable[[str], tuple[Path, int]]) -> Iterator[tuple[Path, int]]:
    """What `make` makes, locked; removed when the block fails, unless it was renamed."""
    while True:
        try:
            place, handle = make(f".{path.name}.{_UNFINISHED}")
        except FileNotFoundError:
            if not path.parent.is_dir():
                raise
            continue  # swept between its making and its opening
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        if place.exists():  # else it was taken for litter before it was locked
            break
        os.close(handle)
    try:
        yield place, handle
    except BaseException:
        remove(place)
        raise
    finally:
        os.close(handle)


def settle(folder: Path) -> None:
    """Make what was written readable for everybody, and bring it to the disk."""
    folder.chmod(0o755)
    for place in folder.rglob("*"):
        place.chmod(0o755 if place.is_dir() else 0o644)  # a result is meant to be read
        make_durable(place)
    make_durable(folder)


def remove(place: Path) -> None:
    """Remove a file, link or folder as far as that is possible."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        with suppress(OSError):
            place.unlink(missing_ok=True)


def sweep(path: Path, *, writes: bool) -> None:
    """Remove what killed writers of `path` left beside it.

    Args:
        path: The file or folder that they were writing.
        writes: Whether the caller is about to write `path`. On a file system without locks there is
            one writer at a time, so that litter is known to be litter only then.
    """
    begin = f".{path.name}."
    with suppress(OSError):  # there is no folder, or it may not be read
        names = [name for name in os.listdir(path.parent) if name.startswith(begin)]
        for name in names:
            if name.removeprefix(begin).startswith((_UNFINISHED, _REPLACED)):
                sweep_one(path.parent / name, writes=writes)


def sweep_one(litter: Path, *, writes: bool) -> None:
    """Remove one unfinished or replaced file or folder, unless a living writer works on it."""
    if _LITTER.fullmatch(litter.name) is None:
        return
    with abandoned(litter, writes=writes) as gone:
        if gone:
            remove(litter)


@contextmanager
def abandoned(place: Path, *, writes: bool) -> Iterator[bool]:
    """Whether no living writer works on `place`, which is locked for the caller within the block.

    Args:
        place: An unfinished file or folder; one that is gone counts as worked on.
        writes: What counts on a file system without locks, as of `sweep`.
    """
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        yield error.errno == errno.ELOOP  # a link that was replaced
        return
    try:
        yield _lock(handle, writes)
    finally:
        os.close(handle)


def _lock(handle: int, without: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without
    return True
