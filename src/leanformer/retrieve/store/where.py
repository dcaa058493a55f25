"""Conditions on metadata.

    {"year": {">=": 1960, "<": 1970}, "source": "a"}      all of them hold
    {"or": [{"source": "a"}, {"tags": {"in": ["b", "c"]}}]}   one of them holds; "and": all

Operators are = (also without an operator), !=, in, <, <=, >, >=. A list satisfies a condition where
it does as a whole or one of its elements does; != is the opposite of =. A row without the field
satisfies != alone. Numbers compare with numbers and texts with texts; null is neither less nor
greater than anything; any other comparison of order is refused.
"""

import functools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leanformer.core.shown import shown

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPERATORS = ("=", "!=", "in", *_ORDER)
_DEEPEST = 16


@dataclass(frozen=True)
class Condition:
    """One field's condition."""

    field: str
    operator: str
    value: Any

    def holds(self, there: Any) -> bool:
        """Whether a value satisfies it.

        Raises:
            ValueError: The two cannot be compared by their order.
        """
        if self.operator in ("=", "!="):
            return _equals(there, self.value) == (self.operator == "=")
        if self.operator == "in":
            values = [there, *there] if _is_list(there) else [there]
            found = any(_kinded(one) in self._known for one in values)
            return found or any(_equals(there, one) for one in self._lists)
        compare = _ORDER[self.operator]
        elements = there if isinstance(there, list) else [there]
        return any(compare(one, self.value) for one in elements if self._comparable(one))

    @functools.cached_property
    def _known(self) -> frozenset[Any]:
        """Of "in": the values that are no lists, with their kinds; there may be many of them."""
        return frozenset(_kinded(one) for one in self.value if not _is_list(one))

    @functools.cached_property
    def _lists(self) -> list[Any]:
        return [one for one in self.value if _is_list(one)]

    def holds_without(self) -> bool:
        """Whether a row without the field satisfies it."""
        return self.operator == "!="

    def _comparable(self, there: Any) -> bool:
        if there is None:
            return False
        if _kind(there) != _kind(self.value):
            raise ValueError(
                f'where["{self.field}"] asks for {self.operator} {shown(self.value)}, and a row '
                f"has {shown(there)} there: {_kind(there)} does not compare with "
                f"{_kind(self.value)}; give a value of the same kind, or use = or in"
            )
        return True


@dataclass(frozen=True)
class Group:
    """Conditions of which all hold, or one does."""

    parts: tuple["Group | Condition", ...]
    every: bool = True


def parse_where(where: Mapping[str, Any], depth: int = 0) -> Group:
    """The conditions in a table.

    Raises:
        ValueError: It is not a table of conditions, or an operator or value is not one.
    """
    if not isinstance(where, Mapping) or depth > _DEEPEST:
        why = f"nested more than {_DEEPEST} deep" if depth > _DEEPEST else shown(where)
        raise ValueError(
            f'where is {why}; give a table such as {{"year": {{">=": 1960}}, "source": "a"}}'
        )
    parts: list[Group | Condition] = []
    for name, wanted in where.items():
        if name in ("and", "or"):
            if not isinstance(wanted, list | tuple) or not wanted:
                raise ValueError(f'where["{name}"] is {shown(wanted)}; give a list of tables')
            groups = tuple(parse_where(part, depth + 1) for part in wanted)
            parts.append(Group(groups, every=name == "and"))
        else:
            table = wanted if isinstance(wanted, Mapping) else {"=": wanted}
            parts += [_condition(name, symbol, value) for symbol, value in table.items()]
    return Group(tuple(parts))


def _condition(name: str, symbol: str, value: Any) -> Condition:
    place = f"where[{shown(name)}]"
    if symbol not in OPERATORS:
        raise ValueError(f"{place} has the operator {shown(symbol)}; use {', '.join(OPERATORS)}")
    if symbol == "in" and not isinstance(value, list | tuple):
        raise ValueError(f"{place}: in takes a list of values, not {shown(value)}")
    if symbol in _ORDER and _kind(value) not in ("a number", "a text"):
        raise ValueError(f"{place}: {symbol} takes a number or a text, not {shown(value)}")
    if not isinstance(name, str) or "something else" in map(_kind, _elements(value)):
        raise ValueError(
            f"{place} is {shown(value)}; give texts, numbers, true, false, null or lists of these"
        )
    return Condition(name, symbol, value)


def _elements(value: Any) -> list[Any]:
    """A value, and what is in it where it is a list."""
    inside = value if isinstance(value, list | tuple) else []
    return [value, *(leaf for one in inside for leaf in (one, *(one if _is_list(one) else ())))]


def _kinded(value: Any) -> tuple[str, Any]:
    """A value with its kind, by which true and 1 differ; of a list, the kind alone."""
    return (_kind(value), None if _is_list(value) else value)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number" if value == value else "something else"
    if isinstance(value, str):
        return "a text"
    return "a list" if _is_list(value) else "something else"


def _equals(there: Any, wanted: Any) -> bool:
    """Whether a value, or an element of it where it is a list, is `wanted`."""
    return _same(there, wanted) or (_is_list(there) and any(_same(one, wanted) for one in there))


def _same(one: Any, other: Any) -> bool:
    if _is_list(one) and _is_list(other):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(_kind(one) == _kind(other) and one == other)
