"""Files that are either whole or absent.

A result is written under a temporary name beside its destination and renamed when it is complete,
so that a killed run, a full disk or a second reader never meets half a file.
"""

import fcntl
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MARGIN = 16 * 2**20  # bytes kept free for the files that are written beside the asked ones
_UNFINISHED = "unfinished-"  # followed by chance: a folder that is being written
_FINISHED = "finished"  # a whole folder, on its way to its name
_REPLACED = "replaced-"  # followed by chance: what was there before, to be removed


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`: the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes private files; a result is meant to be read
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`: the file appears whole or not at all."""
    write_bytes(path, text.encode())


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends, and is removed when it fails.

    What killed writers of `path` left is settled first, as by `recover_folder`.

    Args:
        path: The folder to make.
        overwrite: Replace an existing folder; without it only an absent or empty one is accepted.

    Raises:
        FileExistsError: `path` exists, holds something, and `overwrite` is false.
    """
    recover_folder(path)
    check_free(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=_beside(path, _UNFINISHED)))
    with _held(temporary):
        try:
            yield temporary
            temporary.chmod(0o755)
            for file in temporary.rglob("*"):
                file.chmod(0o755 if file.is_dir() else 0o644)  # a result is meant to be read
            _put(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def recover_folder(path: Path) -> None:
    """Finish a replacement of `path` that was killed halfway, and sweep what killed writers left.

    Two renames replace a folder, and a kill between them leaves no `path`. Before the first one the
    new folder gets a name of its own, so that it is known to be whole and takes its place here.
    What a living writer works on is left alone.
    """
    finished = path.with_name(_beside(path, _FINISHED))
    if finished.is_dir() and not _is_held(finished):
        _put(finished, path)
    for word in (_UNFINISHED, _REPLACED):
        for litter in path.parent.glob(f"{glob.escape(_beside(path, word))}*"):
            if litter.is_dir() and not _is_held(litter):
                shutil.rmtree(litter, ignore_errors=True)


def _put(folder: Path, path: Path) -> None:
    """Rename a whole `folder` to `path`, in place of what is there."""
    if not path.exists():
        os.replace(folder, path)
        return
    finished = path.with_name(_beside(path, _FINISHED))
    replaced = path.with_name(f"{_beside(path, _REPLACED)}{secrets.token_hex(4)}")
    try:
        os.replace(folder, finished)  # whole from here on, whatever happens
        os.replace(path, replaced)
        os.replace(finished, path)
    except BaseException:
        if path.exists():
            shutil.rmtree(finished, ignore_errors=True)
        else:
            os.replace(finished, path)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _beside(path: Path, word: str) -> str:
    """How a folder beside `path` is called, or begins to be, while `path` is written."""
    return f".{path.name}.{word}"


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock `folder` for as long as its writer lives: the lock of a killed process is gone."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_held(folder: Path) -> bool:
    """Whether a living writer works on `folder`; one that is gone meanwhile counts as worked on."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: there is one writer, as everywhere here
        return False
    else:
        return False
    finally:
        os.close(handle)


@contextmanager
def new_files(folder: Path, name: str, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path for the file `folder / name`, and for files of its stem beside it.

    They appear in `folder`, which may hold other files, when the block ends, `name` last; when it
    fails, `folder` is as it was.

    Args:
        folder: The folder; made where it is not there.
        name: The file that a reader opens, e.g. an XML file that names its weights' file.
        overwrite: Replace files of these names.

    Raises:
        FileExistsError: `folder / name` exists and `overwrite` is false.
    """
    if not overwrite and (folder / name).exists():
        raise FileExistsError(f"{folder / name} exists; name another folder, or remove it first")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{name}."))
    try:
        yield temporary / name
        for file in sorted(temporary.iterdir(), key=lambda file: file.name == name):
            file.chmod(0o644)  # a result is meant to be read
            os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made and not any(folder.iterdir()):
            folder.rmdir()


def check_free(path: Path, *, overwrite: bool = False) -> None:
    """Refuse an output folder that already holds something.

    Raises:
        FileExistsError: `path` is a file, or a folder that is not empty, and `overwrite` is false.
    """
    if path.is_file():
        raise FileExistsError(f"{path} is a file; name a folder for the output")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise FileExistsError(
            f"{path} exists and is not empty; name another folder, or remove it first"
        )


def check_space(path: Path, needed_bytes: int) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        OSError: The file system of `path` has less than `needed_bytes` and a small margin free.
    """
    existing = next(parent for parent in [path, *path.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes + _MARGIN:
        raise OSError(
            f"{path}: {needed_bytes / 2**20:.0f} MiB are needed, {free / 2**20:.0f} MiB are free; "
            "free some space or choose a folder on another disk"
        )
