import pytest

from leanformer.train.schedules import LinearDecay, PolynomialDecay


def test_the_factor_at_each_of_ten_steps() -> None:
    factors = [PolynomialDecay(warmup=0.2).factor(step, 10) for step in range(10)]
    falling = [((8 - n) / 8) ** 2 for n in range(8)]
    assert factors == pytest.approx([1 / 3, 2 / 3, *falling])


def test_power_1_is_the_linear_schedule() -> None:
    ours, theirs = PolynomialDecay(power=1.0, warmup=0.3), LinearDecay(warmup=0.3)
    assert [ours.factor(step, 17) for step in range(17)] == pytest.approx(
        [theirs.factor(step, 17) for step in range(17)]
    )


def test_a_power_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="power: 0 is not above 0"):
        PolynomialDecay(power=0)
