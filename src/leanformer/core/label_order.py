"""The default order of labels: by value where all are whole numbers, alphabetical elsewhere.

0, 1, 2, 10, 11      whole numbers, all of them: by value
1, 10, 2, many       anything else: as text
"""

import re
from collections.abc import Iterable

_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")  # int() refuses more than 4,300 digits


def sort_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in order: by value where all of them are whole numbers, as text elsewhere."""
    listed = sorted(labels)
    if are_numbers(listed):
        listed.sort(key=int)
    return tuple(listed)


def are_numbers(labels: Iterable[str]) -> bool:
    """Whether all labels are whole numbers of different values, written in ASCII digits."""
    listed = list(labels)
    if not all(map(_WHOLE.fullmatch, listed)):
        return False
    return len({int(label) for label in listed}) == len(listed)
