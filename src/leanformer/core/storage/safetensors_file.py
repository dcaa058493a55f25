"""Arrays from a safetensors file that somebody else may have written or cut."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a safetensors file, by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a whole safetensors file; the message names it.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is not a whole safetensors file ({error})") from error
