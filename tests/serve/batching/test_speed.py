"""Tokens per second of late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.serve.batching.speed import Speed

BATCHES = st.lists(st.tuples(st.integers(1, 4096), st.floats(1e-3, 10.0)), min_size=1)


def speed_after(batches, *, loaded=True):
    speed = Speed()
    for tokens, seconds in batches:
        speed.note(tokens, seconds, loaded=loaded)
    return speed


@pytest.mark.parametrize("lone", [(), ((3, 2.0),)], ids=["none", "a lone slow one"])
def test_nothing_is_known_before_the_first_batch_under_load(lone):
    speed = speed_after(lone, loaded=False)
    assert speed.tokens_in(2.0, otherwise=77) == 77
    assert speed.seconds_for(1000) == 0


def test_batches_without_company_raise_the_speed_and_never_lower_it():
    speed = speed_after([(50, 1.0)])
    seen = []
    for tokens in (10, 100, 10):
        speed.note(tokens, 1.0, loaded=False)
        seen.append(speed.tokens_per_second)
    assert seen == [50, 100, 100]


def test_under_load_the_speed_is_what_the_last_batches_took():
    speed = speed_after([(100, 1.0)])
    assert speed.tokens_per_second == 100
    speed.note(100, 4.0, loaded=True)
    assert speed.tokens_per_second == pytest.approx((0.9 * 100 + 100) / (0.9 * 1 + 4))


def test_a_server_that_became_slow_is_known_to_be_slow_after_some_twenty_batches():
    speed = speed_after([(1000, 1.0)] * 50 + [(10, 1.0)] * 20)
    assert 10 < speed.tokens_per_second < 200


def test_threads_that_compute_side_by_side_are_added():
    speed = Speed()
    speed.note(100, 2.0, threads=3, loaded=True)
    assert speed.tokens_per_second == 150


@given(BATCHES)
def test_the_speed_lies_between_the_slowest_and_the_fastest_batch(batches):
    seen = [tokens / seconds for tokens, seconds in batches]
    assert min(seen) * 0.999 <= speed_after(batches).tokens_per_second <= max(seen) * 1.001


@given(BATCHES, st.floats(0.1, 100.0), st.integers(1, 10**6))
def test_tokens_and_seconds_are_each_others_inverse_up_to_the_bound(batches, seconds, most):
    speed = speed_after(batches)
    tokens = speed.tokens_in(seconds, otherwise=most)
    assert 0 <= tokens <= most
    assert speed.seconds_for(tokens) <= seconds * (1 + 1e-9)
