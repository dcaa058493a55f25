import pytest

from leanformer.train.schedules import ConstantRate


def test_the_factor_at_each_of_ten_steps() -> None:
    factors = [ConstantRate(warmup=0.2).factor(step, 10) for step in range(10)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 1, 1])
