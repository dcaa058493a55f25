"""A full disk as one clear error, whoever found it.

Python, safetensors, tokenizers, OpenVINO and ONNX Runtime each say "no space left" in a way of
their own, and some only say that a stream failed. Here they all become `DiskFull`, which names the
path and the space that is free.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARGIN = 16 * 2**20
"""Bytes kept free for the files that are written beside the requested ones."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_VAGUE = ("iostream error", "serialization failed")  # C++: a write failed, for whatever reason
_PROBE = 2**20  # bytes
_LATER = "free some space, and give the same command again: it goes on from here"


class DiskFull(OSError):
    """A file could not be written for want of space; the message names it and what is free.

    Attributes:
        words: What the operating system calls it.
        space: What is needed and free, in words; "" where that is unknown.
    """

    words: str
    space: str = ""


def disk_full(place: str, words: str, space: str = "") -> DiskFull:
    """The error of a `place` that could not be written; see `DiskFull`."""
    known = f" ({space})" if space else ""
    error = DiskFull(f"{place} could not be written: {words}{known}; {_LATER}")
    error.words, error.space = words, space
    return error


@contextmanager
def naming_disk(path: Path, needed_bytes: int = 0) -> Iterator[None]:
    """Within the block, a full disk (or quota, or limit of a file's size) becomes a `DiskFull`.

    Of nested blocks the outermost names its path: it knows what the temporary files are for.

    Args:
        path: The file or folder that the block writes; the error names it.
        needed_bytes: What it takes, where that is known.

    Raises:
        DiskFull: The block failed because its files have no space.
    """
    try:
        yield
    except DiskFull as error:
        raise disk_full(str(path), error.words, error.space) from error
    except Exception as error:  # libraries in Rust and C++ raise kinds of their own
        words = _words_of(error, path)
        if words is None:
            raise
        needed = f"{_mib(needed_bytes)} are needed, " if needed_bytes else ""
        space = f"{needed}{_mib(free_bytes(path))} are free"
        raise disk_full(str(path), words, space) from error


def lack_of_space(said: str) -> str | None:
    """What the operating system calls the lack of space that a message tells of; None = it tells of
    something else."""
    return next((words for words in map(os.strerror, _FULL) if words in said), None)


def check_space(path: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        OSError: The file system of `path` has less than `needed_bytes` and a small margin free.
    """
    free = free_bytes(path)
    if free < needed_bytes + MARGIN:
        raise OSError(
            f"{path}: {needed_bytes / 2**20:.0f} MiB are needed, {free / 2**20:.0f} MiB are free; "
            "free some space or choose a folder on another disk"
        )


def free_bytes(path: Path) -> int:
    """Bytes that are free on the file system where `path` is or would be."""
    return shutil.disk_usage(_existing(path)).free


def _existing(path: Path) -> Path:
    return next(parent for parent in [path, *path.absolute().parents] if parent.exists())


def _words_of(error: Exception, path: Path) -> str | None:
    """How the operating system calls the lack of space that `error` tells of; None = another
    fault."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno in _FULL else None
    said = f"{error} {error.__cause__ or ''}"
    vague = any(words in said for words in _VAGUE)
    return lack_of_space(said) or (_refused(_existing(path)) if vague else None)


def _refused(place: Path) -> str | None:
    """Why the disk takes no further file; None where it does take one."""
    folder = place if place.is_dir() else place.parent
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return os.strerror(error.errno) if error.errno in _FULL else None
    return None


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


def allocate(handle: int, size: int) -> None:
    """Reserve `size` bytes for an open file, so that writing to its map cannot fail later.

    Bytes that are there stay as they are, and new ones are zero. A file system that copies on write
    may still run out of space.

    Args:
        handle: The descriptor of a file that is open for writing.
        size: Bytes from the beginning of the file.

    Raises:
        OSError: There is not that much space.
    """
    reserve = getattr(os, "posix_fallocate", None)  # macOS has none
    if reserve is not None and size:
        try:
            reserve(handle, 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS):
                raise  # else the file system does not know how to
        else:
            return
    there = os.fstat(handle).st_size
    os.lseek(handle, there, os.SEEK_SET)
    for begin in range(there, size, _PROBE):
        write_all(handle, bytes(min(_PROBE, size - begin)))


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write all of `data` to a descriptor; the system may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def make_durable(*places: Path) -> None:
    """Bring files, and the names in folders, to the disk: after a power cut they are there.

    A file system that cannot do it for a folder is taken as it is.
    """
    for place in places:
        handle = os.open(place, os.O_RDONLY)
        try:
            if place.is_dir():
                with suppress(OSError):
                    os.fsync(handle)
            else:
                os.fsync(handle)
        finally:
            os.close(handle)
