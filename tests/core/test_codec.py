from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.core.codec import decode, encode, override
from leanformer.core.technique import families, field_docs, find, technique


class Shape(ABC):
    family: ClassVar[str] = "test-shape"

    @abstractmethod
    def area(self) -> float: ...


@technique("square", paper="Euclid, Elements I.46")
class Square(Shape):
    """Four equal sides."""

    side: float = 1.0
    """Length of a side."""
    bits: Literal[2, 4, 8] = 8
    """Storage."""

    def __post_init__(self) -> None:
        if self.side <= 0:
            raise ValueError(f"side: {self.side} is not positive")

    def area(self) -> float:
        return self.side**2


@dataclass(frozen=True, kw_only=True)
class Page:
    title: str
    shapes: tuple[Shape, ...] = ()
    folder: Path | None = None
    sizes: dict[str, int] | None = None
    margin: float | None = 0.5


def test_a_technique_is_found_frozen_and_documented() -> None:
    assert find("square", "test-shape") is Square
    assert families()["test-shape"]["square"] is Square
    assert field_docs(Square)["side"] == "Length of a side."
    with pytest.raises(AttributeError):
        Square().side = 2.0  # type: ignore[misc]


def test_an_unknown_technique_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'square'"):
        find("sqare", "test-shape")


@given(side=st.floats(0.01, 1e6), bits=st.sampled_from([2, 4, 8]), title=st.text(max_size=9))
def test_encoding_then_decoding_is_the_identity(side: float, bits: int, title: str) -> None:
    page = Page(
        title=title, shapes=(Square(side=side, bits=bits),), folder=Path("a/b"), sizes={"x": 1}
    )
    assert decode(Page, encode(page)) == page


def test_none_is_a_word_where_it_is_not_the_default() -> None:
    page = Page(title="none", margin=None)
    assert encode(page) == {"title": "none", "shapes": [], "margin": "none"}
    assert decode(Page, encode(page)) == page
    assert decode(Page, {"title": "none"}).margin == 0.5
    with pytest.raises(ValueError, match=r"^margin: 'nothing' is not a number"):
        decode(Page, {"title": "a", "margin": "nothing"})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, r"^title: Page needs it and it is missing"),
        ({"titel": "a"}, r"^titel: Page has no field 'titel' \(did you mean 'title'\?\)"),
        ({"title": 3}, r"^title: 3 is not a text"),
        ({"title": "a", "shapes": [{"use": "squar"}]}, r"^shapes\[0\]\.use: 'squar' is no test-shape"),
        ({"title": "a", "shapes": [{"side": 1}]}, r"^shapes\[0\]: .* is not a table with use"),
        ({"title": "a", "shapes": ["square", {"use": "square", "bits": 5}]},
         r"^shapes\[1\]\.bits: 5 is not one of 2, 4, 8"),
        ({"title": "a", "shapes": [{"use": "square", "side": -1}]}, r"^shapes\[0\]\.side: -1.0 is not pos"),
        ({"title": "a", "shapes": [{"use": "square", "side": True}]}, r"side: True is not a number"),
        ({"title": "a", "shapes": 3}, r"^shapes: 3 is not a list"),
        ({"title": "a", "folder": 3}, r"^folder: 3 is not a path"),
        ({"title": "a", "sizes": {"x": 1.5}}, r"^sizes\.x: 1\.5 is not a whole number"),
        (3, r"^the file: 3 is not a table"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_answered_with_its_place(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(Page, value)


def test_settings_override_a_table() -> None:
    table = {"steps": [{"use": "square", "side": 1.0}]}
    override(table, "steps[0].side=4")
    override(table, "title=hello")
    assert table == {"steps": [{"use": "square", "side": 4}], "title": "hello"}


@pytest.mark.parametrize("setting", ["steps[3].side=4", "steps[0].side", "steps[9]=1"])
def test_a_setting_that_leads_nowhere_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="--set"):
        override({"steps": [{}]}, setting)


def test_a_name_or_a_table_is_refused_for_what_is_wrong_within_the_table():
    @dataclass(frozen=True)
    class Made:
        size: int = 1

    @dataclass(frozen=True)
    class Holder:
        made: str | Made

    assert decode(Holder, {"made": {"size": 2}}) == Holder(Made(2))
    assert decode(Holder, {"made": "a-name"}) == Holder("a-name")
    with pytest.raises(
        ValueError, match=r"made.sise: Made has no field 'sise' .did you mean 'size"
    ):
        decode(Holder, {"made": {"sise": 2}})
