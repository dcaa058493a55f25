"""Several files that appear in a folder together, beside what else is there.

    .NAME.unfinished-CHANCE/   all of them, while they are written
    .NAME.finished-files/      all of them, whole; they are moved beside this folder, NAME last

A folder that holds other files cannot be replaced by one rename. So the files are made whole first,
and whoever opens the folder after a kill moves the rest (`core.storage.files.recover_folder`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leanformer.core.storage.disk import make_durable, naming_disk
from leanformer.core.storage.unfinished import abandoned, begun_folder, remove, settle, sweep

_FILES = ".finished-files"


@contextmanager
def new_files(folder: Path, name: str, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path for the file `folder / name`, and for files of its stem beside it.

    They appear in `folder`, which may hold other files, when the block ends, `name` last; when it
    fails, `folder` is as it was. A kill leaves the former files, or the new ones, or new ones that
    `recover_folder` finishes placing; until then `name` is not there.

    Args:
        folder: The folder; made where it is not there.
        name: The file that a reader opens, e.g. an XML file that names its weights' file.
        overwrite: Replace files of these names.

    Raises:
        FileExistsError: `folder / name` exists and `overwrite` is false.
        DiskFull: There is no space for what is written within the block.
    """
    path = folder / name
    place_finished(_waiting(path), writes=True)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} exists; name another folder, or remove it first")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    sweep(path, writes=True)
    try:
        with naming_disk(path), begun_folder(path) as temporary:
            yield temporary / name
            settle(temporary)
            waiting = _waiting(path)
            os.replace(temporary, waiting)  # whole from here on, whatever happens
            _place(waiting, path)
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def place_finished(waiting: Path, *, writes: bool) -> bool:
    """Place the whole files that a killed writer left; whether `waiting` is such a folder.

    Args:
        waiting: A folder that may not be there, or may be something else.
        writes: Whether the caller is about to write these files, as of `unfinished.sweep`.
    """
    if not waiting.name.endswith(_FILES):
        return False
    path = waiting.with_name(waiting.name[1:].removesuffix(_FILES))
    with abandoned(waiting, writes=writes or not path.exists()) as gone:
        if gone and waiting.is_dir():
            _place(waiting, path)
    return True


def _waiting(path: Path) -> Path:
    """Where whole files lie that are about to be placed in the folder of `path`, `path` last."""
    return path.with_name(f".{path.name}{_FILES}")


def _place(waiting: Path, path: Path) -> None:
    """Move whole files beside `path`, which comes last and goes first: it never stands beside
    files of another writer."""
    if (waiting / path.name).exists():
        path.unlink(missing_ok=True)
    for file in sorted(waiting.iterdir(), key=lambda file: file.name == path.name):
        os.replace(file, path.parent / file.name)
    make_durable(path.parent)
    remove(waiting)
