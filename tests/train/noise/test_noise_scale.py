import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.train.noise.noise_scale import (
    GradientNoise,
    MovingNoise,
    estimate_noise,
    examples_over_least,
    mean_noise,
    steps_over_least,
)

SIZES = st.floats(0.1, 1e4)


@given(SIZES, SIZES, st.integers(1, 100), st.integers(1, 100))
def test_expected_norms_give_back_signal_and_noise(
    signal: float, noise: float, small: int, more: int
) -> None:
    big = small + more
    found = estimate_noise(signal + noise / small, signal + noise / big, small=small, big=big)
    room = 1e-9 * (signal + noise) * big
    assert found.signal == pytest.approx(signal, abs=room)
    assert found.noise == pytest.approx(noise, abs=room)


def test_the_critical_batch_size_where_there_is_no_signal_or_no_noise() -> None:
    assert GradientNoise(2.0, 8.0).critical_batch_size == 4.0
    assert GradientNoise(-1.0, 8.0).critical_batch_size == math.inf
    assert GradientNoise(0.0, 8.0).critical_batch_size == math.inf
    assert GradientNoise(1.0, -0.1).critical_batch_size == 0.0


def test_a_mean_is_of_signal_and_noise_and_not_of_ratios() -> None:
    mean = mean_noise([GradientNoise(1.0, 8.0), GradientNoise(3.0, 8.0)])
    assert mean == GradientNoise(2.0, 8.0)
    assert mean.critical_batch_size == 4.0


def test_moving_averages_begin_at_the_first_value_and_follow() -> None:
    moving = MovingNoise(decay=0.5)
    assert moving.update(GradientNoise(1.0, 4.0)) == GradientNoise(1.0, 4.0)
    found = moving.update(GradientNoise(4.0, 1.0))
    assert (found.signal, found.noise) == pytest.approx((3.0, 2.0))
    for _ in range(60):
        found = moving.update(GradientNoise(7.0, 5.0))
    assert (found.signal, found.noise) == pytest.approx((7.0, 5.0))


@given(SIZES, SIZES)
def test_the_trade_is_a_hyperbola_and_even_at_the_critical_size(
    size: float, critical: float
) -> None:
    steps, examples = steps_over_least(size, critical), examples_over_least(size, critical)
    assert (steps - 1) * (examples - 1) == pytest.approx(1.0)
    assert steps_over_least(critical, critical) == examples_over_least(critical, critical) == 2.0


@pytest.mark.parametrize(("small", "big"), [(0, 4), (4, 4), (8, 4)])
def test_sizes_that_tell_nothing_are_refused(small: float, big: float) -> None:
    with pytest.raises(ValueError, match=f"small, big: .* not of {small} and {big}"):
        estimate_noise(1.0, 1.0, small=small, big=big)


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="measured: nothing was measured"):
        mean_noise([])
