"""Values and foreign messages as an error shows them: on one line, and not at length."""

from typing import Any

_VALUE = 80  # characters
_MESSAGE = 240


def shown(value: Any) -> str:
    """A value as Python writes it, shortened."""
    try:
        said = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists within lists
        return f"a {type(value).__name__} too long to show"
    return one_line(said, _VALUE)


def one_line(text: object, most: int = _MESSAGE) -> str:
    """A message, or what else prints as text, without line breaks and shortened to `most`."""
    said = " ".join(str(text)[: 20 * most].split())
    return said if len(said) <= most else f"{said[: most - 1]}…"
