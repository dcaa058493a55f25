import pytest

from leanformer.train.schedules import LinearDecay


def test_the_factor_at_each_of_ten_steps() -> None:
    factors = [LinearDecay(warmup=0.2).factor(step, 10) for step in range(10)]
    assert factors == pytest.approx(
        [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]
    )
