"""Files that are either whole or absent.

A result is written under a temporary name beside its destination and renamed when it is complete,
so that a killed run, a full disk or a second reader never meets half a file. Several files at once,
and a folder in place of another one, take more than one rename: before the first one the new files
get a name that says they are whole (`core.storage.unfinished`), and whoever opens the folder after
a kill finishes the work.

Files reach the disk before they are renamed, and the rename before the caller goes on: what a
record calls finished is there after a power cut too. That costs a write of all bytes to the disk,
which the system would have done later.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leanformer.core.storage.disk import allocate, check_space, make_durable, naming_disk, write_all
from leanformer.core.storage.several_files import place_finished
from leanformer.core.storage.unfinished import (
    abandoned,
    begun_file,
    begun_folder,
    contents,
    finished,
    is_content,
    is_empty,
    remove,
    replaced,
    settle,
    sweep,
    sweep_one,
)

__all__ = [
    "allocate_file",
    "check_free",
    "check_space",
    "contents",
    "is_empty",
    "naming_disk",
    "new_folder",
    "recover_folder",
    "write_bytes",
    "write_text",
]

_TRIES = 10
_PAUSE = 0.02  # seconds between two of them


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`: the file appears whole or not at all.

    Raises:
        DiskFull: There is no space for it; what was there before is kept.
    """
    with _new_file(path, len(data)) as handle:
        write_all(handle, data)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, as `write_bytes`."""
    write_bytes(path, text.encode())


def allocate_file(path: Path, size: int) -> None:
    """Make a file of `size` zero bytes that are reserved on the disk; it appears whole.

    A file that is mapped into memory needs that: without the reservation a full disk ends the
    process with SIGBUS in the middle of an assignment.

    Raises:
        DiskFull: There is no space for it.
    """
    with _new_file(path, size) as handle:
        allocate(handle, size)


@contextmanager
def _new_file(path: Path, size: int) -> Iterator[int]:
    """The descriptor of a file that becomes `path` when the block ends."""
    with naming_disk(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path, writes=True)
    with naming_disk(path, size), begun_file(path) as (temporary, handle):
        yield handle
        os.fsync(handle)
        temporary.chmod(0o644)  # temporary files are private; a result is meant to be read
        os.replace(temporary, path)
        make_durable(path.parent)


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends, and is removed when it fails.

    What killed writers of `path` left is settled first, as by `recover_folder`.

    Args:
        path: The folder to make.
        overwrite: Replace an existing folder; without it only an absent or empty one is accepted.

    Raises:
        FileExistsError: `path` exists, holds something, and `overwrite` is false.
        DiskFull: There is no space for what is written within the block.
    """
    path = path.resolve() if path.is_symlink() else path
    _recover(path, writes=True)
    check_free(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming_disk(path), begun_folder(path) as temporary:
        yield temporary
        settle(temporary)
        _put(temporary, path, overwrite=overwrite)


def recover_folder(path: Path) -> None:
    """Finish what killed writers of `path`, or of files in it, had whole, and sweep what they left.

    Two renames replace a folder, and a kill between them leaves no `path`. Before the first one the
    new folder gets a name of its own, so that it is known to be whole and takes its place here.
    What a living writer works on is left alone. Whoever opens a folder that `new_folder` or
    `new_files` writes calls this first.
    """
    _recover(path, writes=False)


def _recover(path: Path, *, writes: bool) -> None:
    path = path.absolute()
    if not path.name:  # the root
        return
    for _ in range(_TRIES):
        if not _still_waits(path, writes) or path.exists():
            break
        time.sleep(_PAUSE)  # another process is between its two renames
    sweep(path, writes=writes)
    if path.is_dir() and not path.is_symlink():
        for folder in (path, *_folders(path)):
            _recover_inside(folder)


def _still_waits(path: Path, writes: bool) -> bool:
    """Let the whole folder that waits for its name `path` have it; whether one still waits."""
    waiting = finished(path)
    if not os.path.isdir(waiting):  # also where the name would be too long
        return False
    there = path.exists()
    with abandoned(waiting, writes=writes or not there) as gone:
        if gone and waiting.is_dir():
            try:
                _put(waiting, path, overwrite=True)
            except OSError:
                if writes or not there:
                    raise  # else there is a whole folder, which this reader may not change
    return waiting.is_dir()


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError):  # it may not be read
        return [place for place in folder.iterdir() if place.is_dir() and is_content(place)]
    return []


def _recover_inside(folder: Path) -> None:
    """Place the whole files that killed writers left in `folder`, and sweep what is not whole."""
    with suppress(OSError):  # a folder of somebody else's, which may not be changed
        for litter in [place for place in folder.iterdir() if not is_content(place)]:
            if not place_finished(litter, writes=False):
                sweep_one(litter, writes=False)


def _put(folder: Path, path: Path, *, overwrite: bool) -> None:
    """Rename a whole `folder` to `path`, in place of what is there."""
    if not path.exists():
        os.replace(folder, path)
        make_durable(path.parent)
        return
    check_free(path, overwrite=overwrite)  # another process may have written it meanwhile
    waiting, former = finished(path), replaced(path)
    try:
        os.replace(folder, waiting)  # whole from here on, whatever happens
        os.replace(path, former)
        os.replace(waiting, path)
    except BaseException:
        if not path.exists():
            os.replace(waiting, path)
        else:
            remove(waiting)
        raise
    make_durable(path.parent)
    remove(former)


def check_free(path: Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that already holds something.

    Raises:
        FileExistsError: `path` is a file, or a folder that is not empty, and `overwrite` is false.
    """
    if path.is_file():
        raise FileExistsError(f"{path} is a file; name a folder for the output")
    if not overwrite and path.is_dir() and not is_empty(path):
        raise FileExistsError(
            f"{path} exists and is not empty; name another folder, or remove it first"
        )
