import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.train.optimizers.batch_scaling import (
    linear_scaling,
    scaled_rate,
    square_root_scaling,
    warmup_share,
)

SIZES = st.integers(1, 2**20)


def test_the_rules_give_the_papers_numbers() -> None:
    # Goyal et al.: 0.1 at 256 images becomes 3.2 at 8,192
    assert linear_scaling(0.1, 8192, 256) == pytest.approx(3.2)
    # You et al.: LAMB's 5 / (2^3 x 10^3) at 512 texts becomes 5 / (2^0 x 10^3) at 32,768
    assert square_root_scaling(5 / 8e3, 32768, 512) == pytest.approx(5 / 1e3)


@given(SIZES, SIZES, SIZES)
def test_a_rate_scaled_twice_is_scaled_once(first: int, second: int, third: int) -> None:
    for rule in ("linear", "square-root"):
        twice = scaled_rate(rule, scaled_rate(rule, 0.1, second, first), third, second)
        assert twice == pytest.approx(scaled_rate(rule, 0.1, third, first))


@given(SIZES, SIZES)
def test_one_rule_is_the_square_of_the_other(size: int, base: int) -> None:
    factor = scaled_rate("square-root", 1.0, size, base)
    assert math.isclose(factor**2, scaled_rate("linear", 1.0, size, base))


def test_a_warmup_of_so_many_examples_is_a_share_of_the_steps() -> None:
    assert warmup_share(6_000, batch_size=100, steps=600) == pytest.approx(0.1)
    assert warmup_share(6_000, batch_size=200, steps=300) == pytest.approx(0.1)
    assert warmup_share(0, batch_size=8, steps=10) == 0


def test_a_warmup_longer_than_the_training_is_refused() -> None:
    with pytest.raises(ValueError, match="a warm-up over 80 of the 80 examples"):
        warmup_share(80, batch_size=8, steps=10)
