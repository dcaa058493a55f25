from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.students.pick import pick_layers


@pytest.mark.parametrize(
    ("layers", "pick", "total", "kept"),
    [
        (None, "published", 12, [0, 2, 4, 7, 9, 11]),
        (6, "every", 12, [0, 2, 4, 6, 8, 10]),
        (6, "bottom", 12, [0, 1, 2, 3, 4, 5]),
        (None, "published", 3, [0, 2]),
        (4, "published", 12, [0, 4, 7, 11]),
        (1, "published", 12, [0]),
        ((5, 2), "published", 6, [2, 5]),
    ],
)
def test_the_layers_of_a_number(layers: Any, pick: Any, total: int, kept: list[int]) -> None:
    assert pick_layers(layers, pick, total) == kept


@given(st.data())
def test_layers_ascend_and_reach_the_ends(data: Any) -> None:
    total = data.draw(st.integers(2, 40))
    count = data.draw(st.integers(2, total))
    for pick in ("published", "bottom", "every"):
        kept = pick_layers(count, pick, total)  # type: ignore[arg-type]
        assert kept == sorted(set(kept))
        assert len(kept) == count
        assert kept[0] == 0
        assert kept[-1] < total
    assert pick_layers(count, "published", total)[-1] == total - 1


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (7, "layers: 7 cannot be taken from a teacher of 6; ask for 1 to 6"),
        (0, "layers: 0 cannot be taken"),
        ((0, 6), "layers: layer 6 is out of range; there are layers 0 to 5"),
        ((1, 1), "layers: layer 1 is given twice"),
        ((), "layers: no layer is kept"),
    ],
)
def test_layers_that_the_teacher_has_not_are_refused(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pick_layers(layers, "published", 6)
