"""Errors that name the file with the fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leanformer.core.shown import one_line

_LONGEST = 300  # characters
_PANIC = "PanicException"  # of the tokenizers library; it derives from BaseException


@contextmanager
def blamed(file: Path) -> Iterator[None]:
    """Turn what transformers raises over a wrong value in `file` into a `ValueError` that names it.

    transformers checks few of the values that it reads, so a wrong one raises any kind of error
    wherever it is first used. A `ValueError` says what is wrong, and gets the file where it does
    not name it; an `OSError` passes unchanged, and so does a lack of memory.
    """
    try:
        yield
    except ValueError as error:
        if str(file.parent) in str(error) and "\n" not in str(error):
            raise
        raise ValueError(f"{file}: {_line(error).removeprefix(f'{file.name}: ')}") from error
    except (OSError, ImportError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise  # Ctrl-C
        said = one_line(error)
        raise ValueError(
            f"{file}: transformers cannot read what it says ({type(error).__name__}: {said}); the "
            "file is damaged, or belongs to another version"
        ) from error


def _line(error: Exception) -> str:
    """The message in one line; of a long one, such as a printed module, its beginning."""
    return one_line(error, _LONGEST)
