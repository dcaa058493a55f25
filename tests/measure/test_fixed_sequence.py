from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.measure.fixed_sequence import Candidate, Choice, choose_fastest
from leanformer.measure.promise import Promise


def promise(lower: float, kept: float, keep: float = 0.97, confidence: float = 0.9) -> Promise:
    return Promise(
        metric="accuracy",
        examples=100,
        teacher=0.9,
        student=0.9 * kept,
        kept=kept,
        lower=lower,
        keep=keep,
        confidence=confidence,
        needed=500,
        method="",
    )


PROVEN, HOLDS, FAILS = promise(0.98, 0.99), promise(0.95, 0.98), promise(0.9, 0.95)


def choose(*promises: Promise) -> Choice:
    """Of candidates called a, b, … from the slowest to the fastest, handed over in another order."""
    candidates = [
        Candidate(name="abcdef"[place], cost=9.0 - place, promise=one)
        for place, one in enumerate(promises)
    ]
    return choose_fastest(candidates[1:] + candidates[:1])


def test_the_fastest_before_the_first_that_is_not_proven_is_chosen() -> None:
    found = choose(PROVEN, PROVEN, HOLDS, FAILS, PROVEN)
    assert (found.chosen, found.proven) == ("b", True)
    assert found.promise is PROVEN
    assert found.sequence == ("a", "b", "c", "d", "e")
    assert found.certified == ("a", "b")
    assert found.stopped_at == "c"
    assert found.unproven == ("e", "c")  # e was not tested: its proof does not count


def test_where_all_are_proven_the_fastest_is_chosen() -> None:
    found = choose(PROVEN, PROVEN)
    assert (found.chosen, found.certified, found.stopped_at) == ("b", ("a", "b"), None)
    assert found.unproven == ()


def test_where_none_is_proven_the_fastest_whose_estimate_holds_is_chosen() -> None:
    found = choose(HOLDS, HOLDS, FAILS)
    assert (found.chosen, found.proven, found.promise) == ("b", False, HOLDS)
    assert (found.certified, found.stopped_at, found.unproven) == ((), "a", ())
    late = choose(HOLDS, PROVEN)  # the slower one stops the tests
    assert (late.chosen, late.proven) == ("b", False)


@pytest.mark.parametrize("promises", [(), (FAILS,), (FAILS, FAILS)])
def test_where_no_estimate_holds_nothing_is_chosen(promises: Any) -> None:
    found = choose(*promises)
    assert (found.chosen, found.proven, found.promise) == (None, False, None)
    assert found.unproven == ()


def test_equal_costs_are_ordered_by_name() -> None:
    twins = [Candidate(name=name, cost=1.0, promise=PROVEN) for name in ("y", "x")]
    assert choose_fastest(twins).sequence == choose_fastest(twins[::-1]).sequence == ("x", "y")


@given(st.lists(st.sampled_from([PROVEN, HOLDS, FAILS]), max_size=6))
def test_what_is_promised_was_tested(promises: list[Promise]) -> None:
    found = choose(*promises)
    assert found.proven == bool(found.certified)
    if found.proven:
        assert found.chosen == found.certified[-1]
    faster = found.sequence[found.sequence.index(found.chosen) + 1 :] if found.chosen else ()
    assert set(found.unproven) <= set(faster)


def test_one_false_promise_in_ten_whatever_the_number_of_candidates() -> None:
    """Twenty candidates that all keep too little, each proven by chance in a tenth of the cases."""
    rng = np.random.default_rng(0)
    false = [
        choose_fastest(
            [
                Candidate(name=str(n), cost=n, promise=PROVEN if lucky else FAILS)
                for n, lucky in enumerate(rng.random(20) < 0.1)
            ]
        ).proven
        for _ in range(2000)
    ]
    assert np.mean(false) == pytest.approx(0.1, abs=0.02)


def test_one_name_twice_is_refused() -> None:
    twins = [Candidate(name="a", cost=cost, promise=PROVEN) for cost in (1, 2)]
    with pytest.raises(ValueError, match="candidates: 'a' occurs twice"):
        choose_fastest(twins)


@pytest.mark.parametrize("other", [promise(0.9, 0.9, keep=0.9), promise(0.9, 0.9, confidence=0.8)])
def test_promises_of_different_things_are_refused(other: Promise) -> None:
    pair = [
        Candidate(name=name, cost=1, promise=one) for name, one in (("a", PROVEN), ("b", other))
    ]
    with pytest.raises(ValueError, match="promises with different keep and confidence"):
        choose_fastest(pair)
