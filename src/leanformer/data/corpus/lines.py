"""The lines of a text file of any size, plain or gzipped, one at a time.

Memory holds one line; a "line" of more than 16 MiB is not a line but a file without any, and is
refused. Lines end with a line feed, or with a carriage return and a line feed.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from leanformer.data.formats.text_file import not_utf8, refuse_wide

MOST = 16 * 2**20
"""The longest line, and the longest document, in bytes: 16 MiB."""
_HEAD = 4096  # bytes that tell the encoding
_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line.

    Attributes:
        number: Counted from 1.
        text: Without its end.
        done: Bytes of the file, as it lies on the disk, that were read so far.
        error: Why it cannot be read; "" where it can.
    """

    number: int
    text: str
    done: int
    error: str = ""


def lines(path: Path, *, keep_errors: bool = False) -> Iterator[Line]:
    """Every line of a UTF-8 file, without the byte order mark before the first.

    Args:
        path: The file.
        keep_errors: Give a line that is not UTF-8 with its error and U+FFFD for the bytes that are
            wrong, instead of refusing the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is in another encoding, its gzip data are broken, or a line is longer
            than 16 MiB; the line is named.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        stream = gzip.GzipFile(fileobj=file) if path.suffix.lower() == ".gz" else file
        number = 0
        try:
            refuse_wide(stream.peek(_HEAD)[:_HEAD], path)
            while raw := stream.readline(MOST + 1):
                number += 1
                raw = raw.removeprefix(_MARK) if number == 1 else raw
                text, error = _text(raw, path, number)
                if error is not None and not keep_errors:
                    raise error
                yield Line(number, text, file.tell(), "" if error is None else str(error))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: broken gzip file ({error})") from error


def _text(raw: bytes, path: Path, number: int) -> tuple[str, ValueError | None]:
    """A line as text, without its end, and what is wrong with its bytes."""
    if len(raw) > MOST:
        raise ValueError(
            f"{path}:{number}: a line of more than {MOST // 2**20} MiB; a document is held in "
            "memory, so put line feeds between documents (carriage returns alone end no line)"
        )
    raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return raw.decode(), None
    except UnicodeDecodeError as error:
        wrong = not_utf8(path, number, raw[error.start])
        wrong.__cause__ = error
        return raw.decode(errors="replace"), wrong
