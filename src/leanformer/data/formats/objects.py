"""JSON: one object per line, or an array of objects; several lines per object are possible there.

{"text": "a", "label": "x"}                 jsonl, and json
[{"text": "a"}, {"text": "b"}]              json; the rows are counted, since lines say little
{"data": [{"text": "a"}, {"text": "b"}]}    json; one key only, and nothing beside it
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from leanformer.core.shown import shown
from leanformer.data.formats.text_file import lines_of
from leanformer.data.rows import Row

_SHOWN = 40  # characters of a value that an error quotes


def json_lines(text: str, path: Path) -> list[Row]:
    """One object per line; a blank line is a row without columns.

    Raises:
        ValueError: A line is not a JSON object, or has a key twice.
    """
    source, rows = f"{path}:", []
    for number, line in enumerate(lines_of(text), 1):
        value = json_line(line, f"{source}{number}") if line.strip() else {}
        rows.append(Row(value, source, number))
    return rows


def json_line(line: str, place: str) -> dict[str, Any]:
    """The object on a line that is not blank.

    Raises:
        ValueError: It is not a JSON object, or has a key twice; the message begins with `place`.
    """
    try:
        value = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: {_said(error, 'one object per line')}") from None
    if not isinstance(value, dict):
        array = "; an array of objects is read from a .json file" if line[0] == "[" else ""
        raise ValueError(
            f"{place}: {line[:_SHOWN]!r} is not a JSON object; write one per line{array}"
        )
    return value


def json_document(text: str, path: Path) -> list[Row]:
    """An array of objects, or one object per line.

    Raises:
        ValueError: As `json_lines`, or the file is one object around its rows, or something else.
    """
    start = text.strip()
    if not start.startswith("["):
        whole = _whole_object(start)
        if whole is None or _is_row(start, whole):
            return json_lines(text, path)
        items: list[Any] = _unwrapped(whole, path)
    else:
        try:
            items = _DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            line = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise ValueError(f"{path}{line}: {_said(error, 'an array of objects')}") from None
    source = f"{path} row "
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            shown = json.dumps(item, ensure_ascii=False)[:_SHOWN]
            raise ValueError(
                f"{source}{number}: {shown} is not a JSON object; write an array of objects"
            )
    return [Row(item, source, number) for number, item in enumerate(items, 1)]


def _whole_object(text: str) -> dict[str, Any] | None:
    """The object that is all of `text`, or None."""
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and not text[end:].strip() else None


def _is_row(text: str, value: dict[str, Any]) -> bool:
    """Whether a file of one object is a single row: on one line, and no object within it."""
    items = [one for held in value.values() for one in (held if isinstance(held, list) else [held])]
    return "\n" not in text and not any(isinstance(one, dict) for one in items)


def _wraps(value: dict[str, Any]) -> bool:
    """Whether an object has one key, which holds a list of objects."""
    items = next(iter(value.values())) if len(value) == 1 else None
    return isinstance(items, list) and bool(items) and all(isinstance(one, dict) for one in items)


def _unwrapped(value: dict[str, Any], path: Path) -> list[Any]:
    """The rows in an object that has nothing else.

    Raises:
        ValueError: It has something else.
    """
    if _wraps(value):
        rows: list[Any] = next(iter(value.values()))
        return rows
    raise ValueError(
        f"{path}: the whole file is one object ({', '.join(value)}), and it is not said which part "
        "of it holds the rows; write an array of objects (pandas: to_json(orient='records')), or "
        "one object per line"
    )


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _TwiceError(f"{shown(key)} stands twice in one object; keep one of them")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _said(error: Exception, form: str) -> str:
    """What is wrong with a text, and in which form it is read."""
    if isinstance(error, _TwiceError):
        return str(error)
    said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
    return f"not JSON ({said}); write {form}"
