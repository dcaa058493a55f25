"""The text of a file, plain or gzipped: UTF-8, and what is not is named as what it is."""

import gzip
import shlex
import zlib
from pathlib import Path

MAX_UNPACKED = 2**30
"""The most bytes that a .gz file may unpack to: 1 GiB. Plain files have no limit."""
_PIECE = 2**20

_MARKS = {  # the longer marks first: UTF-32's begins with UTF-16's
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_LOOKED_AT = 4096  # bytes that decide what a file without a mark is
_ZEROS = 0.4  # share of zero bytes at one place of a unit; in UTF-8 text there is none


def read_bytes(path: Path) -> bytes:
    """The contents of a file; those of a .gz file are unpacked, up to `MAX_UNPACKED` bytes.

    Raises:
        ValueError: The gzip file is broken, or unpacks to more.
    """
    if path.suffix.lower() != ".gz":
        return path.read_bytes()
    try:
        return _unpacked(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: broken gzip file ({error})") from error


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises:
        ValueError: As `read_bytes`, or the bytes are in another encoding.
    """
    raw = read_bytes(path)
    refuse_wide(raw, path)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise not_utf8(path, line, raw[error.start]) from error


def refuse_wide(head: bytes, path: Path) -> None:
    """Refuse a file in UTF-16 or UTF-32, by its first bytes.

    Raises:
        ValueError: It is in such an encoding; the message has the command that converts it.
    """
    if wide := _wide(head):
        raise ValueError(
            f"{path}: this is {wide.upper()}, and UTF-8 is read; convert it first: "
            f"{_conversion(path, wide)}"
        )


def not_utf8(path: Path, line: int, byte: int) -> ValueError:
    """The error of a byte that UTF-8 does not have at its place in `line`."""
    return ValueError(
        f"{path}:{line}: byte {byte:#04x} is not UTF-8; "
        f"convert it first, e.g. {_conversion(path, 'latin1')}"
    )


def lines_of(text: str) -> list[str]:
    """The lines of a text, ended by a line feed, by both marks, or all by carriage returns."""
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return text.removesuffix("\n").split("\n")


def _conversion(path: Path, encoding: str) -> str:
    """The command that writes a file in UTF-8."""
    opened = "gunzip -c" if path.suffix.lower() == ".gz" else "cat"
    new = shlex.quote(f"utf8-{path.name.removesuffix('.gz')}")
    return f"{opened} {shlex.quote(path.name)} | iconv -f {encoding} -t utf-8 > {new}"


def _wide(raw: bytes) -> str:
    """The name of the encoding, as iconv knows it, where a character takes two or four bytes."""
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            return name.lower()
    head = raw[:_LOOKED_AT]
    shares = [head[place::4].count(0) / max(1, len(head[place::4])) for place in range(4)]
    zeros = "".join("0" if share >= _ZEROS else "x" for share in shares)
    known = {"x0x0": "utf-16le", "0x0x": "utf-16be", "x000": "utf-32le", "000x": "utf-32be"}
    return known.get(zeros, "")


def _unpacked(path: Path) -> bytes:
    """The contents of a gzip file, unpacked piece by piece up to the limit."""
    raw = bytearray()
    with gzip.open(path) as stream:
        while piece := stream.read(_PIECE):
            raw += piece
            if len(raw) > MAX_UNPACKED:
                raise ValueError(
                    f"{path}: it unpacks to more than {MAX_UNPACKED / 2**20:.0f} MiB, and no more "
                    "are unpacked; unpack it yourself (gunzip), or give fewer rows"
                )
    return bytes(raw)
