"""The record of a run: one JSON line an event, appended durably, read by the report.

A record is the only thing that passes from the work to the report, and it is all that a resumed
run needs to know what is already done. A line is flushed to the disk before the work goes on; a
line cut short by a kill is dropped at reading.
"""

import itertools
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leanformer.core.files import write_text


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
        """
        line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="seconds"), **fields}
        text = json.dumps(_plain(line), ensure_ascii=False, allow_nan=False) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            if file.tell() and not _ends_whole(self.path):
                file.write(b"\n")  # a killed writer left half a line: it stays alone on its line
            file.write(text.encode(errors="replace"))
            file.flush()
            os.fsync(file.fileno())

    def drop(self, unwanted: Callable[[dict[str, Any]], bool]) -> None:
        """Leave events out of what is written so far; the file is replaced at once."""
        if self.path.is_file():
            kept = [
                json.dumps(one, ensure_ascii=False) for one in self.events() if not unwanted(one)
            ]
            write_text(self.path, "".join(f"{line}\n" for line in kept))

    def set_aside(self) -> None:
        """Begin anew: the file gets the first free name of record.1.jsonl, record.2.jsonl, …"""
        if self.path.is_file():
            names = (self.path.with_suffix(f".{n}{self.path.suffix}") for n in itertools.count(1))
            os.replace(self.path, next(name for name in names if not name.exists()))


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a record, in order. Lines cut short by a kill are dropped.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line holds JSON that is no event.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such record; `leanformer run` writes record.jsonl")
    events: list[dict[str, Any]] = []
    # Not `splitlines`, which breaks at U+2028 and U+0085 too; JSON leaves them as they are.
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(value, dict) or "event" not in value:
            raise ValueError(f"{path}:{number}: {line[:60]!r} is no event; is this a record.jsonl?")
        events.append(value)
    return events


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
