"""Tokens per second of late."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.serve.batching.speed import Speed

BATCHES = st.lists(st.tuples(st.integers(1, 4096), st.floats(1e-3, 10.0)), min_size=1)


def speed_after(batches):
    speed = Speed()
    for tokens, seconds in batches:
        speed.note(tokens, seconds)
    return speed


def test_nothing_is_known_before_the_first_batch():
    speed = Speed()
    assert speed.tokens_in(2.0, otherwise=77) == 77
    assert speed.seconds_for(1000) == 0


def test_a_faster_batch_counts_at_once_and_slower_ones_little_by_little():
    speed = speed_after([(10, 1.0), (100, 1.0)])
    assert speed.tokens_per_second == 100
    speed.note(10, 1.0)
    assert speed.tokens_per_second == pytest.approx(0.95 * 100 + 0.05 * 10)


def test_a_server_that_became_slow_is_known_to_be_slow_after_some_fifty_batches():
    speed = speed_after([(1000, 1.0)] + [(10, 1.0)] * 60)
    assert 10 < speed.tokens_per_second < 60


def test_threads_that_compute_side_by_side_are_added():
    speed = Speed()
    speed.note(100, 2.0, threads=3)
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
