import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.train.schedule import factor


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("linear", [1 / 3, 2 / 3, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        ("constant", [1 / 3, 2 / 3, *[1] * 8]),
        ("cosine", [1 / 3, 2 / 3, *[(1 + math.cos(math.pi * n / 8)) / 2 for n in range(8)]]),
    ],
)
def test_the_factor_at_each_of_ten_steps(name: str, factors: list[float]) -> None:
    assert [factor(name, step, 10, 0.2) for step in range(10)] == pytest.approx(factors)


@given(
    name=st.sampled_from(["linear", "cosine", "constant"]),
    steps=st.integers(1, 300),
    warmup=st.floats(0, 0.99),
)
def test_it_rises_then_never_rises_again_and_no_step_is_wasted(
    name: str, steps: int, warmup: float
) -> None:
    factors = [factor(name, step, steps, warmup) for step in range(steps)]
    top = int(warmup * steps)
    assert all(0 < value <= 1 for value in factors)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
