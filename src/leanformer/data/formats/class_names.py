"""Numbers of classes as their names, where a data set knows them (🤗 datasets' ClassLabel)."""

from collections.abc import Mapping
from typing import Any

NamedClasses = dict[str, list[str]]
"""Column -> names by number."""


def class_names(features: Mapping[str, Any]) -> NamedClasses:
    """The columns of classes, or of lists of classes, among features in their JSON form."""
    found = {}
    for column, feature in features.items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else feature
        inner = inner[0] if isinstance(inner, list) and inner else inner
        names = inner.get("names") if isinstance(inner, dict) else None
        if isinstance(names, list):
            found[column] = [str(name) for name in names]
    return found


def with_names(row: dict[str, Any], classes: NamedClasses, place: str) -> dict[str, Any]:
    """The row with names for numbers; -1, the mark for a hidden label, becomes None.

    Raises:
        ValueError: There is no class of such a number.
    """
    for column, names in classes.items():
        value = row.get(column)
        if isinstance(value, list):
            row[column] = [_name(one, names, column, place) for one in value]
        else:
            row[column] = _name(value, names, column, place)
    return row


def _name(value: Any, names: list[str], column: str, place: str) -> Any:
    if not isinstance(value, int):
        return value
    if value >= len(names):
        raise ValueError(f"{place}: {column} is {value}, and there are {len(names)} classes")
    return names[value] if value >= 0 else None
