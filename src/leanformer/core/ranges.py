"""Ranges of numbers, written once: in the type of a field.

    temperature: Positive = 1.0
    noise: Annotated[float, Range(at_least=0, below=1)] = 0.0

`ranged` checks the fields when an object is made in Python (`technique` applies it to every
technique), `leanformer.core.codec` when it is read, and `leanformer show` documents them:

    steps[1].temperature: -2.0 is not above 0

NaN and infinities are in no range, and neither is a number that its tensor could not hold: whole
numbers have 64 bits, others are at most about 3.4e38. True and False are not numbers; numpy's
numbers become Python's. A field that takes any such number says so: `Number`.
"""

import functools
import numbers
import types
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from leanformer.core.shown import shown

T = TypeVar("T", bound=type)

_LARGEST = 3.4028234663852886e38  # of a 32-bit float
_WHOLE = 2**63  # of a 64-bit whole number


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers between two ends; an end that is not given is open.

    Attributes:
        above: Larger than this.
        at_least: This or larger.
        below: Smaller than this.
        at_most: This or smaller.
    """

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        if self.at_least is not None and self.at_most is not None:
            return f"between {self.at_least:,} and {self.at_most:,}"
        ends = {
            "above": self.above,
            "at least": self.at_least,
            "below": self.below,
            "at most": self.at_most,
        }
        said = [f"{name} {end:,}" for name, end in ends.items() if end is not None]
        return " and ".join(said) or "any number"


Number = Annotated[float, Range()]
"""Any number."""
Positive = Annotated[float, Range(above=0)]
"""More than nothing: a temperature, a learning rate."""
NotNegative = Annotated[float, Range(at_least=0)]
"""A weight in a sum; 0 leaves it out."""
Share = Annotated[float, Range(above=0, at_most=1)]
"""A share of something that cannot be left out; 1 = all."""
PartialShare = Annotated[float, Range(at_least=0, below=1)]
"""A share that leaves something; 0 = nothing."""
InnerShare = Annotated[float, Range(above=0, below=1)]
"""A share that takes something and leaves something."""

Count = Annotated[int, Range(at_least=1)]
"""How many, or how wide."""
Index = Annotated[int, Range(at_least=0)]
"""A place counted from 0, or a count that may be 0."""
Seed = Annotated[int, Range(at_least=0, below=2**32)]
"""What random numbers start from."""
Length = Annotated[int, Range(at_least=3, at_most=2**24)]
"""Tokens of a text, with the special ones; most models add two."""
Bits = Annotated[int, Range(at_least=2, at_most=8)]
"""Bits of a number on a grid."""
Threads = Annotated[int, Range(at_least=0, at_most=1024)]
"""Threads; 0 = all cores."""


def ranged(cls: T) -> T:
    """Check the numbers of a dataclass whenever an object is made, before its `__post_init__`.

    It stands below `@dataclass`; `@technique` includes it.
    """
    own = getattr(cls, "__post_init__", None)

    def __post_init__(self: Any, *arguments: Any) -> None:
        check_ranges(self)
        if own is not None:
            own(self, *arguments)

    cls.__post_init__ = __post_init__  # type: ignore[attr-defined]
    return cls


def check_ranges(made: Any) -> None:
    """Check the numbers in the fields of a dataclass object, and turn numpy's into Python's.

    Raises:
        ValueError: One is not a number or out of its range; the message begins with the field.
    """
    cls: Any = type(made)
    for name, kind in number_fields(cls).items():
        value = getattr(made, name)
        checked = check_number(kind, value, name)
        if checked is not value:
            object.__setattr__(made, name, checked)


@functools.cache
def number_fields(cls: Any) -> dict[str, Any]:
    """The fields of a dataclass that hold numbers, with their types."""
    kinds = get_type_hints(cls, include_extras=True)
    return {
        field.name: kinds[field.name] for field in fields(cls) if _has_number(kinds[field.name])
    }


def check_number(kind: Any, value: Any, place: str) -> Any:
    """`value`, checked against `kind`: a number, or an Optional, tuple or dict of numbers.

    Raises:
        ValueError: It does not fit; the message begins with the place.
    """
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *rules = get_args(kind)
        value = check_number(inner, value, place)
        check_rules(rules, value, place)
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        return check_number(member_for(get_args(kind), value), value, place)
    if origin is tuple:
        return _checked_tuple(get_args(kind), value, place)
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{place}: {shown(value)} is not a table")
        inner = get_args(kind)[1]
        return {key: check_number(inner, item, f"{place}.{key}") for key, item in value.items()}
    if origin is Literal:
        if value not in get_args(kind):
            listed = ", ".join(str(choice) for choice in get_args(kind))
            raise ValueError(f"{place}: {shown(value)} is not one of {listed}")
        return value
    return as_number(kind, value, place) if kind in (int, float) else value


def as_number(kind: type, value: Any, place: str) -> Any:
    """`value` as a Python int or float; a whole number stays one where any number is asked for.

    Raises:
        ValueError: It is not such a number, or too large to compute with.
    """
    whole: tuple[Any, str] = (numbers.Integral, "a whole number")
    abstract, rule = whole if kind is int else (numbers.Real, "a number")
    if isinstance(value, bool) or not isinstance(value, abstract):
        raise ValueError(f"{place or 'the file'}: {shown(value)} is not {rule}")
    number = int(value) if isinstance(value, numbers.Integral) else float(value)
    if kind is int and not -_WHOLE <= number < _WHOLE:
        raise ValueError(f"{place}: {shown(number)} is not a whole number of 64 bits")
    if kind is float and not -_LARGEST <= number <= _LARGEST:
        raise ValueError(f"{place}: {shown(number)} is not a finite number of 32 bits")
    return value if type(value) is type(number) else number


def check_rules(rules: Sequence[Any], value: Any, place: str) -> None:
    """Refuse a number that is out of a range in `rules`; other metadata is let be.

    Raises:
        ValueError: It is out of a range.
    """
    for rule in rules:
        if isinstance(rule, Range) and value not in rule:
            raise ValueError(f"{place or 'the file'}: {shown(value)} is not {rule}")


def member_for(members: Sequence[Any], value: Any) -> Any:
    """The member of a Union that a value of this shape is meant for; the first if for none."""
    members = [member for member in members if member is not type(None)]
    shapes = {tuple: (list, tuple), dict: (dict,), Literal: (str,)}
    for member in members:
        bare = get_args(member)[0] if get_origin(member) is Annotated else member
        shape: Any = shapes.get(get_origin(bare) or bare, bare)
        if bare in (int, float):
            shape = numbers.Real
        elif isinstance(bare, type) and is_dataclass(bare):
            shape = dict
        if not isinstance(value, bool) and isinstance(shape, type | tuple) and _is(value, shape):
            return member
    return members[0]


def described(kind: Any) -> str:
    """The ranges within a type, in words; "" where there are none."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return " and ".join(str(rule) for rule in arguments[1:] if isinstance(rule, Range))
    said = [described(argument) for argument in arguments]
    if origin in (tuple, dict):
        return f"each {next(filter(None, said))}" if any(said) else ""
    if origin in (Union, types.UnionType):
        return "; ".join(dict.fromkeys(one for one in said if one))
    return ""


def _is(value: Any, shape: Any) -> bool:
    try:
        return isinstance(value, shape)
    except TypeError:  # a subscripted generic
        return False


def _has_number(kind: Any) -> bool:
    if get_origin(kind) in (Annotated, Union, types.UnionType, tuple, dict):
        return any(_has_number(argument) for argument in get_args(kind))
    return kind in (int, float)


def _checked_tuple(members: tuple[Any, ...], value: Any, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{place}: {shown(value)} is not a list")
    if len(members) == 2 and members[1] is ...:
        members = (members[0],) * len(value)
    if len(members) != len(value):
        raise ValueError(f"{place}: {shown(value)} is not a list of {len(members)}")
    checked = tuple(
        check_number(member, item, f"{place}[{index}]")
        for index, (member, item) in enumerate(zip(members, value, strict=True))
    )
    unchanged = all(new is old for new, old in zip(checked, value, strict=True))
    return value if unchanged and isinstance(value, tuple) else checked
