"""Every number that somebody may set has a range, and nothing beyond it is let in by any door."""

import math
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pytest

import leanformer.search  # noqa: F401  (registers every technique)
from leanformer.core.codec import decode, encode
from leanformer.core.ranges import Range, number_fields
from leanformer.core.technique import families
from leanformer.data import Source
from leanformer.prune.masks.tickets import Tickets
from leanformer.recipe import Recipe
from leanformer.search import Request
from leanformer.train.setup import TrainSetup
from leanformer.train.steps.finetune import Finetune

TECHNIQUES = [
    cls
    for members in families().values()
    for cls in members.values()
    if cls.__module__.startswith("leanformer.")
]
CLASSES: list[Any] = [*TECHNIQUES, TrainSetup, Request, Recipe, Source, Tickets]
NEEDED: dict[str, dict[str, Any]] = {  # of classes that cannot be made from nothing
    "Request": {"model": "m", "data": Source(path="d")},
    "Recipe": {"model": "m", "data": Source(path="d"), "steps": (Finetune(),)},
    "Source": {"path": "d"},
    "Tickets": {"rounds": 2, "prune_fraction": 0.5, "rewind": 0.0},
    "FixedBits": {"bits": (8,)},
    "Lottery": {"by": Finetune()},
    "Sparsify": {"by": Finetune()},
    "Shrink": {"ffn": 0.5},
}
FIELDS = [(cls, name) for cls in CLASSES for name in number_fields(cls)]
WRONG = [math.nan, math.inf, -math.inf, True, "text", [], 2**63, -(2**63) - 1, 1e39, -1e39, 0.5]


def numbers_in(kind: Any) -> list[tuple[Any, tuple[Range, ...], bool]]:
    """(int or float, its ranges, whether it stands in a list) for each number in a type."""
    if get_origin(kind) is Annotated:
        inner, *rules = get_args(kind)
        ranges = tuple(rule for rule in rules if isinstance(rule, Range))
        return [(inner, ranges, False)] if inner in (int, float) else numbers_in(inner)
    if kind in (int, float):
        return [(kind, (), False)]
    listed = get_origin(kind) is tuple
    return [
        (one, ranges, listed or within)
        for argument in get_args(kind)
        for one, ranges, within in numbers_in(argument)
    ]


def beyond(kind: Any, ranges: tuple[Range, ...]) -> list[Any]:
    """Numbers just outside and far outside of the ends."""
    found: list[Any] = []
    for rule in ranges:
        step = 1 if kind is int else 1e-6
        found += [rule.above] if rule.above is not None else []
        found += [rule.below] if rule.below is not None else []
        found += [rule.at_least - step, -(10**6)] if rule.at_least is not None else []
        found += [rule.at_most + step, 10**9] if rule.at_most is not None else []
    return [kind(value) for value in found if value not in ranges[0]]


def is_inside(ranges: tuple[Range, ...], value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) < 1e38 and all(value in rule for rule in ranges)


def ids(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def shape(kind: Any, value: Any) -> Any:
    """A list of as many numbers as the type asks for, one of them `value`."""
    tuples = [one for one in (kind, *get_args(kind)) if get_origin(one) is tuple]
    length = 1 if get_args(tuples[0])[1] is ... else len(get_args(tuples[0]))
    return (value,) * length


def table_of(cls: Any) -> dict[str, Any]:
    return {name: encode(value) for name, value in NEEDED.get(cls.__name__, {}).items()}


@pytest.mark.parametrize(("cls", "field"), FIELDS, ids=ids)
def test_a_number_has_a_range_and_nothing_beyond_it_is_let_in(cls: Any, field: str) -> None:
    kind = number_fields(cls)[field]
    for number, ranges, listed in numbers_in(kind):
        assert ranges, f"{cls.__name__}.{field} has no range; one without ends is Number"
        wrong = [*WRONG, *beyond(number, ranges)]
        for value in wrong:
            if number is float and is_inside(ranges, value):
                continue
            if value == [] and any(within for _, _, within in numbers_in(kind)):
                continue  # a list is what it takes
            given = shape(kind, value) if listed else value
            place = rf"{field}(\[0\])?: .* is not "
            with pytest.raises(ValueError, match=f"^{place}"):
                cls(**{**NEEDED.get(cls.__name__, {}), field: given})
            with pytest.raises(ValueError, match=rf"^steps\[1\]\.{place}"):
                decode(cls, {**table_of(cls), field: encode(given)}, "steps[1]")


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if number_fields(cls)], ids=ids)
def test_defaults_are_within_their_ranges(cls: Any) -> None:
    made = cls(**NEEDED.get(cls.__name__, {}))
    assert decode(cls, encode(made)) == made


def test_numbers_of_numpy_become_python_s() -> None:
    made = TrainSetup(batch_size=np.int64(4), epochs=np.float32(2.5))  # type: ignore[arg-type]
    assert type(made.batch_size) is int
    assert type(made.epochs) is float
    assert TrainSetup(epochs=2).epochs == 2
