import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.codec import decode
from leanformer.core.ranges import (
    Count,
    Index,
    Number,
    Positive,
    Range,
    Share,
    described,
    number_fields,
    ranged,
)


@dataclass(frozen=True, kw_only=True)
@ranged
class Settings:
    share: Share = 0.5
    layers: Count | tuple[Index, ...] | None = None
    smooth: Annotated[float, Range(at_least=0, at_most=1)] | Literal["searched"] = "searched"
    parts: dict[str, Positive] | None = None
    free: Number = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        if self.share == 0.25:
            raise ValueError("share: its own rule")


@given(st.floats(), st.floats(-10, 10), st.floats(-10, 10))
def test_a_range_is_what_its_ends_say(value: float, low: float, high: float) -> None:
    assert (value in Range(above=low, below=high)) == (low < value < high)
    assert (value in Range(at_least=low, at_most=high)) == (low <= value <= high)
    if math.isfinite(value) and abs(value) < 3e38:
        assert Settings(free=value).free == value


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"share": 0.0}, "share: 0.0 is not above 0 and at most 1"),
        ({"share": math.nan}, "share: nan is not a finite number"),
        ({"share": True}, "share: True is not a number"),
        ({"share": None}, "share: None is not a number"),
        ({"layers": 0}, "layers: 0 is not at least 1"),
        ({"layers": (0, -1)}, r"layers\[1\]: -1 is not at least 0"),
        ({"layers": 1.5}, "layers: 1.5 is not a whole number"),
        ({"layers": 2**63}, "is not a whole number of 64 bits"),
        ({"smooth": 2}, "smooth: 2.* is not between 0 and 1"),
        ({"smooth": "found"}, "smooth: 'found' is not one of searched"),
        ({"parts": {"a": 0}}, "parts.a: 0.* is not above 0"),
        ({"parts": 3}, "parts: 3 is not a table"),
        ({"free": 1e39}, "free: 1e[+]39 is not a finite number of 32 bits"),
        ({"free": 10**5000}, "free: a int too long to show is not a finite number"),
        ({"share": 0.25}, "share: its own rule"),
    ],
)
def test_what_is_out_of_range_is_refused_by_both_doors(fields: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}|{message}$"):
        Settings(**fields)
    with pytest.raises(ValueError, match=message):
        decode(Settings, fields, "steps[1]")


def test_a_tuple_of_a_fixed_length_and_what_is_no_tuple_are_checked() -> None:
    @dataclass(frozen=True)
    @ranged
    class Pair:
        both: tuple[Share, Share] = (1.0, 1.0)

    with pytest.raises(ValueError, match=r"both: 3 is not a list$"):
        Pair(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"both: \(1,\) is not a list of 2"):
        Pair((1,))  # type: ignore[arg-type]
    assert Pair([1, np.float32(0.5)]).both == (1, 0.5)  # type: ignore[arg-type]


def test_numbers_of_other_kinds_become_python_s() -> None:
    made = Settings(share=np.float32(0.5), layers=(np.int64(3),), free=Fraction(1, 2))  # type: ignore[arg-type]
    assert [type(one) for one in (made.share, made.layers[0], made.free)] == [float, int, float]  # type: ignore[index]
    assert type(decode(Settings, {"free": 1}).free) is float


def test_fields_tell_their_ranges() -> None:
    assert set(number_fields(Settings)) == {"share", "layers", "smooth", "parts", "free"}
    said = {name: described(kind) for name, kind in number_fields(Settings).items()}
    assert said == {
        "share": "above 0 and at most 1",
        "layers": "at least 1; each at least 0",
        "smooth": "between 0 and 1",
        "parts": "each above 0",
        "free": "any number",
    }
    assert described(str) == ""
