"""The record of a run: one JSON line an event, appended durably, read by the report.

A record is the only thing that passes from the work to the report, and it is all that a resumed
run needs to know what is already done. A line is flushed to the disk before the work goes on; a
line cut short by a kill is dropped at reading. Each line ends with its own checksum, so that a
damaged one is refused:

    {"event": "step", "time": "…", "model": "L2", …, "crc32": "9f3c01aa"}
"""

import itertools
import json
import math
import os
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leanformer.core.ranks import follows
from leanformer.core.storage.disk import naming_disk, write_all
from leanformer.core.storage.files import write_bytes

_CHECKSUM = re.compile(r', "crc32": "([0-9a-f]{8})(?=..$)')


class Record:
    """Appends events to a JSONL file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> list[dict[str, Any]]:
        """What is written so far; nothing where there is no file yet."""
        return read(self.path) if self.path.is_file() else []

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; dataclasses, paths, tuples and NumPy or torch scalars become JSON.

        Half a character (a lone surrogate, as in names of files that are not UTF-8) becomes "?".

        Raises:
            DiskFull: The line has no space; the record is as it was.
        """
        if follows():  # the process that leads writes it
            return
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **fields}
        data = _written(_plain(line))
        with naming_disk(self.path, len(data)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                if file.tell() and not _ends_whole(self.path):
                    data = b"\n" + data  # a killed writer's half line stays alone on its line
                _append(file.fileno(), data)

    def drop(self, unwanted: Callable[[dict[str, Any]], bool]) -> None:
        """Leave events out of what is written so far; the file is replaced at once."""
        if self.path.is_file() and not follows():
            kept = [_written(one) for one in self.events() if not unwanted(one)]
            write_bytes(self.path, b"".join(kept))

    def set_aside(self) -> None:
        """Begin anew: the file gets the first free name of record.1.jsonl, record.2.jsonl, …"""
        if self.path.is_file() and not follows():
            names = (self.path.with_suffix(f".{n}{self.path.suffix}") for n in itertools.count(1))
            os.replace(self.path, next(name for name in names if not name.exists()))


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a record, in order. Lines cut short by a kill are dropped.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is damaged, or holds JSON that is no event.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such record; `leanformer run` writes record.jsonl")
    events: list[dict[str, Any]] = []
    # Not `splitlines`, which breaks at U+2028 and U+0085 too; JSON leaves them as they are.
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        event = event_of(line, f"{path}:{number}")
        if event is not None:
            events.append(event)
        elif not cut_short(line):
            raise ValueError(f"{path}:{number}: {line[:60]!r} is no event; is this a record.jsonl?")
    return events


def _append(handle: int, data: bytes) -> None:
    """Write durably at the end of a file, or leave it as it was."""
    end = os.lseek(handle, 0, os.SEEK_END)
    try:
        write_all(handle, data)
        os.fsync(handle)
    except BaseException:
        with suppress(OSError):
            os.ftruncate(handle, end)
        raise


def event_of(line: str, place: str) -> dict[str, Any] | None:
    """The event in a line of a record, without its checksum; None where it holds none.

    Args:
        line: The line; those of earlier versions have no checksum.
        place: File and number of the line, for messages.

    Raises:
        ValueError: The line is not the one that was written.
    """
    checksum = _CHECKSUM.search(line)
    try:
        event = json.loads(line, parse_constant=lambda _: None)
    except (json.JSONDecodeError, RecursionError):
        event = None
    written = line[: checksum.start()].encode() if checksum else b""
    right = checksum is not None and f"{zlib.crc32(written):08x}" == checksum[1]
    claimed = checksum is not None or (isinstance(event, dict) and "crc32" in event)
    if claimed and (event is None or not right):
        raise ValueError(
            f"{place}: the line was altered after it was written; restore the file from a copy, or "
            "begin anew in another folder"
        )
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    event.pop("crc32", None)
    return event


def cut_short(line: str) -> bool:
    """Whether `line` begins an object that is never closed."""
    depth, in_text, escaped = 0, False, False
    for character in line:
        if in_text:
            in_text = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_text = True
        else:
            depth += (character in "{[") - (character in "}]")
    return line.lstrip().startswith("{") and (in_text or depth > 0)


def _written(event: dict[str, Any]) -> bytes:
    """The line of an event, with its checksum."""
    text = json.dumps(event, ensure_ascii=False, allow_nan=False)
    raw = text.removesuffix("}").encode(errors="replace")
    return raw + f', "crc32": "{zlib.crc32(raw):08x}"}}\n'.encode()


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _plain(value: Any) -> Any:
    """`value` in JSON's own types; a number that is not finite becomes null."""
    if is_dataclass(value) and not isinstance(value, type):
        own_form = getattr(value, "json", None)
        return _plain(own_form() if own_form else asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
