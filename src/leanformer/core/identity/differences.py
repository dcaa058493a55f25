"""What tells one piece of work from another, as tables of JSON values, and how they differ."""

from collections.abc import Iterator, Mapping
from typing import Any

from leanformer.core.identity.digest import PREFIX


def differences(
    held: Mapping[str, Any], ours: Mapping[str, Any], words: Mapping[str, str]
) -> list[str]:
    """What differs between two identities, in words, e.g. "setup.epochs (3 → 4)".

    Args:
        held: What a file says.
        ours: What is asked now.
        words: What a reader calls the places of digests; other places are called by their names.
    """
    before, after = dict(flat(held)), dict(flat(ours))
    found = []
    for place in dict.fromkeys([*before, *after]):
        was, now = before.get(place), after.get(place)
        if was != now:
            known = all(value is None or str(value).startswith(PREFIX) for value in (was, now))
            values = "" if known else f" ({was} → {now})"
            found.append(words.get(place, place) + values)
    return found


def listed(found: list[str], most: int = 5) -> str:
    """Differences as part of a sentence, at most so many."""
    more = [f"{len(found) - most} more"] if len(found) > most else []
    return ", ".join(found[:most] + more)


def flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested tables and lists, each with the way to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flat(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from flat(item, f"{place}[{index}]")
    else:
        yield place, value
