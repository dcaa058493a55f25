from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.measure.interleave import (
    Call,
    Timing,
    interleave,
    interleave_rows,
    run_delay,
    speedup,
    spread,
)


def timing(*walls, waited=0.0):
    return Timing(calls=tuple(Call(wall=w, cpu=2 * w, waited=waited) for w in walls))


def test_systems_take_turns_and_warm_up():
    order = []
    timings = interleave(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=3, warmup=1
    )
    assert order == ["a", "b"] * 4
    assert [len(timings[name].calls) for name in "ab"] == [3, 3]


def test_the_ratio_is_taken_round_by_round():
    # The machine slows down tenfold half-way; neighbours are slowed alike.
    quantity = speedup(timing(2.0, 4.0, 20.0, 40.0), timing(1.0, 2.0, 10.0, 20.0))
    assert (quantity.value, quantity.low, quantity.high, quantity.unit) == (2, 2, 2, "x")


def test_calls_that_waited_for_a_core_are_left_out_while_enough_remain():
    clean = [Call(wall=1.0, cpu=1.0, waited=0.0)] * 3
    waited = Call(wall=9.0, cpu=1.0, waited=8.0)
    assert Timing(calls=(*clean, waited)).seconds().high == 1
    assert Timing(calls=(*clean, waited)).contended == 0.25
    assert Timing(calls=(clean[0], waited, waited)).seconds().value == 9
    assert speedup(Timing(calls=(*clean, waited)), timing(0.5, 0.5, 0.5, 0.5)).high == 2


def test_rates_and_cpu_time_are_for_each_text():
    assert timing(2.0).rate(10).value == 5
    assert timing(2.0).cpu(10).value == pytest.approx(0.4)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_quartiles_are_around_the_median(values):
    quantity = spread(values, "s")
    assert min(values) <= quantity.low <= quantity.value <= quantity.high <= max(values)


def test_the_kernels_account_grows():
    assert 0 <= run_delay() <= run_delay()


def test_refusals():
    with pytest.raises(ValueError, match="systems: 0, rounds: 7; at least one of each"):
        interleave({})
    with pytest.raises(ValueError, match="2 and 1 rounds: time both in one run"):
        speedup(timing(1.0, 1.0), timing(1.0))


def test_rows_of_calls_take_turns_and_the_first_round_is_not_timed():
    made = []
    rows = {name: [partial(made.append, f"{name}{n}") for n in range(2)] for name in "ab"}
    found = interleave_rows(rows, rounds=2)
    assert made == ["a0", "a1", "b0", "b1"] * 3
    assert {name: [len(one.calls) for one in row] for name, row in found.items()} == {
        "a": [2, 2],
        "b": [2, 2],
    }
