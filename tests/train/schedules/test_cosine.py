import math

import pytest

from leanformer.train.schedules import CosineDecay


def test_the_factor_at_each_of_ten_steps() -> None:
    factors = [CosineDecay(warmup=0.2).factor(step, 10) for step in range(10)]
    falling = [(1 + math.cos(math.pi * n / 8)) / 2 for n in range(8)]
    assert factors == pytest.approx([1 / 3, 2 / 3, *falling])
