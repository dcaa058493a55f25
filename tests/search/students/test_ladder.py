from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.search.students.ladder import (
    WIDTHS,
    Rung,
    epochs_share,
    first_behind,
    first_place,
    ladder,
    time_of,
)

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
        "L5-h100-f100", "L6-h100-f50", "L5-h100-f50", "L6-h50-f50", "L4-h100-f50", "L3-h100-f50",
        "L3-h50-f50", "L2-h100-f50", "L2-h50-f50", "L2-h50-f25", "L1-h50-f50",
    ]  # fmt: skip


def test_a_teacher_of_one_layer_has_narrower_students() -> None:
    assert [rung.name for rung in ladder(1)] == ["L1-h100-f50", "L1-h50-f50", "L1-h50-f25"]


TIMES = st.fixed_dictionaries(dict.fromkeys(WIDTHS, st.floats(0.01, 10)))


@given(DEPTHS, TIMES)
def test_by_measured_times_each_rung_is_faster_and_of_no_more_weights(
    layers: int, times: dict[tuple[float, float], float]
) -> None:
    rungs = ladder(layers, times=times)
    taken = [layers * times[1.0, 1.0], *(time_of(rung, times) for rung in rungs)]
    assert all(slow > fast for slow, fast in pairwise(taken))
    costs = [rung.cost for rung in rungs]
    assert costs == sorted(costs, reverse=True)
    assert all(cost < layers for cost in costs)


@given(DEPTHS, TIMES)
def test_what_is_left_out_is_not_faster_than_a_larger_rung(
    layers: int, times: dict[tuple[float, float], float]
) -> None:
    """Against every shape by itself: it is in the ladder, or something of no fewer weights is as
    fast but for 3 %."""
    rungs = ladder(layers, times=times)
    for rung in ladder(layers):
        larger = [one for one in rungs if one.cost >= rung.cost]
        bar = min([layers * times[1.0, 1.0], *(time_of(one, times) for one in larger)])
        assert rung in rungs or time_of(rung, times) >= 0.97 * bar


def test_narrow_layers_that_are_no_faster_are_left_out() -> None:
    times = dict.fromkeys(WIDTHS, 1.0)  # a machine on which only depth counts
    assert [rung.name for rung in ladder(6, times=times)] == [
        "L5-h100-f100", "L4-h100-f100", "L3-h100-f100", "L2-h100-f50", "L1-h50-f50",
    ]  # fmt: skip


@given(DEPTHS)
def test_portable_rungs_keep_all_heads(layers: int) -> None:
    rungs = ladder(layers, portable=True)
    assert rungs
    assert {rung.heads for rung in rungs} == {1.0}


@pytest.mark.parametrize(
    ("keep", "name"),
    [(1.0, "L5-h100-f50"), (0.99, "L5-h100-f50"), (0.97, "L4-h100-f50"), (0.9, "L3-h100-f50")],
)
def test_the_more_is_asked_the_nearer_to_the_teacher_it_begins(keep: float, name: str) -> None:
    rungs = ladder(6)
    assert rungs[first_place(rungs, 6, keep)].name == name


@given(DEPTHS, st.floats(0.5, 1), st.booleans())
def test_nothing_far_is_cut_from_the_teacher_at_once(layers: int, keep: float, whole: bool) -> None:
    rungs = ladder(layers, whole=whole)
    place = first_place(rungs, layers, keep)
    assert 0 <= place < len(rungs)
    assert place == 0 or rungs[place].cost >= layers / 3 - 1e-9


@pytest.mark.parametrize(
    ("shares", "name"),
    [
        ([], "L5-h100-f50"),  # as alone, at 0.99
        ([(1.0, 0.999)], "L5-h100-f50"),  # it may lose 0.9 % of all texts
        (
            [(0.5, 0.993), (0.2, 0.985)],
            "L5-h100-f50",
        ),  # 0.6 % of half of them; 0.2 keeps too little
        ([(0.5, 0.999)], "L4-h100-f50"),  # 1.8 % of half of them
        ([(0.1, 0.994)], "L3-h100-f50"),  # 4 % of a tenth
        ([(0.1, 0.99), (0.11, 0.995)], "L3-h100-f50"),  # a tenth, and nothing of it, is more
    ],
)
def test_behind_ngrams_it_begins_with_less_the_more_it_may_lose(shares, name) -> None:
    rungs = ladder(6)
    assert rungs[first_behind(rungs, 6, 0.99, shares)].name == name


@given(DEPTHS, st.data())
def test_the_more_is_cut_the_longer_is_the_training(layers: int, data: st.DataObject) -> None:
    rungs = ladder(layers)
    shares = [epochs_share(rung, None, layers) for rung in rungs]
    assert shares == sorted(shares)
    assert all(0.25 <= share <= 1 for share in shares)
    rung = data.draw(st.sampled_from(rungs))
    start = data.draw(st.sampled_from([one for one in rungs if one.cost >= rung.cost]))
    assert epochs_share(rung, start, layers) <= epochs_share(rung, None, layers)


def test_epochs_by_what_is_cut() -> None:
    assert epochs_share(Rung(layers=5), None, 6) == pytest.approx(1 / 3)
    assert epochs_share(Rung(layers=3), None, 6) == 1
    assert epochs_share(Rung(layers=3, ffn=0.5), Rung(layers=4, ffn=0.5), 6) == pytest.approx(0.5)
    assert epochs_share(Rung(layers=6, whole=True), None, 6) == 1  # another encoder, a new head


def test_a_whole_layer_costs_one() -> None:
    assert Rung(layers=5).cost == pytest.approx(5)
    assert Rung(layers=2, heads=0.5, ffn=0.25).cost == pytest.approx(2 * (0.5 + 2 * 0.25) / 3)


@given(DEPTHS)
def test_of_another_encoder_the_whole_comes_first(layers: int) -> None:
    first, *others = ladder(layers, whole=True)
    assert (first.whole, first.cost) == (True, layers)
    assert others == ladder(layers)
    assert not any(rung.whole for rung in others)
