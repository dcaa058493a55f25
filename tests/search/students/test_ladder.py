import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.search.students.ladder import Rung, ladder

DEPTHS = st.integers(1, 24)


@given(DEPTHS)
def test_each_rung_has_less_work_than_the_one_before_and_than_the_teacher(layers: int) -> None:
    costs = [rung.cost for rung in ladder(layers)]
    assert all(larger > smaller for larger, smaller in zip([layers, *costs], costs, strict=False))


@given(DEPTHS)
def test_each_rung_is_a_part_of_the_teacher_with_a_name_of_its_own(layers: int) -> None:
    rungs = ladder(layers)
    assert len({rung.name for rung in rungs}) == len(rungs)
    for rung in rungs:
        assert 1 <= rung.layers <= layers
        assert 0 < rung.heads <= 1
        assert 0 < rung.ffn <= 1


def test_the_ladder_of_six_layers() -> None:
    names = [rung.name for rung in ladder(6)]
    assert names == [
        "L4-h100-f100", "L3-h100-f100", "L3-h100-f50", "L3-h50-f50", "L2-h50-f50", "L2-h50-f25",
        "L1-h50-f50",
    ]  # fmt: skip


def test_every_depth_has_a_smaller_student() -> None:
    assert all(ladder(layers) for layers in range(1, 25))


def test_a_whole_layer_costs_one() -> None:
    assert Rung(layers=5).cost == pytest.approx(5)
    assert Rung(layers=2, heads=0.5, ffn=0.25).cost == pytest.approx(2 * (0.5 + 2 * 0.25) / 3)


@given(DEPTHS)
def test_of_another_encoder_the_whole_comes_first(layers: int) -> None:
    first, *others = ladder(layers, whole=True)
    assert (first.whole, first.cost) == (True, layers)
    assert others == ladder(layers)
    assert not any(rung.whole for rung in others)
