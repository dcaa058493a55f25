"""Errors that name the file with the fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def blamed(file: Path) -> Iterator[None]:
    """Turn what transformers raises over a wrong value in `file` into a `ValueError` that names it.

    transformers checks few of the values that it reads, so a wrong one raises any kind of error
    wherever it is first used. Errors that say what is wrong (`ValueError`, `OSError`) pass
    unchanged, and so does a lack of memory.
    """
    try:
        yield
    except (ValueError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise ValueError(
            f"{file}: transformers cannot read what it says ({type(error).__name__}: {said}); the "
            "file is damaged, or belongs to another version"
        ) from error
