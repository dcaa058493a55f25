"""Errors that name the file with the fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leanformer.core.shown import one_line

_MOST = 300  # characters of a foreign message


_PANIC = "PanicException"  # of the tokenizers library; it derives from BaseException


@contextmanager
def blamed(file: Path) -> Iterator[None]:
    """Turn what transformers raises over a wrong value in `file` into a `ValueError` that names it.

    transformers checks few of the values that it reads, so a wrong one raises any kind of error
    wherever it is first used. An error that says what is wrong (`ValueError`, `OSError`) and where
    passes unchanged; where it does not say where, the file is put before it. `ImportError` and a
    lack of memory pass.
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except (ValueError, OSError) as error:
        said = str(error)
        if str(file.parent) in said and said == one_line(said, 2 * len(said)):
            raise
        raise ValueError(f"{file}: {one_line(error, _MOST)}") from error
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise  # Ctrl-C
        raise ValueError(
            f"{file}: transformers cannot read what it says ({type(error).__name__}: "
            f"{one_line(error)}); the file is damaged, or belongs to another version"
        ) from error
