"""Bytes on disk of what is needed to serve, as the kind of system says: of a transformer graph,
weights, tokenizer and settings.

Only the files that the chosen backend reads count: PyTorch weights that lie beside an OpenVINO
graph are for training on, not for serving.
"""

from pathlib import Path

from leanformer.core.quantity import Quantity
from leanformer.core.storage.files import contents, recover_folder
from leanformer.runtime.serving.opening import described, files_of


def served_size(folder: Path, backend: str | None = None, precision: str | None = None) -> Quantity:
    """The size of the files that `backend` (unless named, the chosen one) needs."""
    return bytes_of(files_of(folder, described(folder, backend, precision)))


def folder_size(folder: Path) -> Quantity:
    """The size of every file of a plain model folder.

    Raises:
        ValueError: There is no such folder.
    """
    recover_folder(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    return bytes_of(contents(folder))


def bytes_of(files: list[Path]) -> Quantity:
    """The sum of the sizes."""
    return Quantity(float(sum(path.stat().st_size for path in files)), "bytes")
