import math

import pytest
import torch
from distill.objectives.naive import random, softmax
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.objectives import JensenShannon
from leanformer.distill.objectives.jensen_shannon import jensen_shannon
from leanformer.distill.objectives.reverse_kl import reverse_kl
from leanformer.distill.objectives.soft_targets import soft_targets


def kl(first: list[float], second: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("beta", "temperature"), [(0.5, 1.0), (0.1, 4.0), (0.9, 0.5)])
def test_it_equals_the_equation(beta: float, temperature: float) -> None:
    ours, theirs = random(5, 3), random(5, 3, seed=1)
    total = 0.0
    for student, teacher in zip(ours.tolist(), theirs.tolist(), strict=True):
        q, p = softmax(student, temperature), softmax(teacher, temperature)
        m = [beta * a + (1 - beta) * b for a, b in zip(p, q, strict=True)]
        total += beta * kl(p, m) + (1 - beta) * kl(q, m)
    found = jensen_shannon(ours, theirs, beta, temperature).item()
    assert found == pytest.approx(temperature**2 * total / 5, abs=1e-12)


@given(seed=st.integers(0, 99), beta=st.floats(0.01, 0.99), size=st.floats(0.1, 500))
def test_it_is_zero_at_the_teacher_bounded_and_alike_from_both_sides(
    seed: int, beta: float, size: float
) -> None:
    ours, theirs = size * random(4, 6, seed=seed), size * random(4, 6, seed=seed + 100)
    assert jensen_shannon(ours, ours, beta).item() == pytest.approx(0, abs=1e-9)
    found = jensen_shannon(ours, theirs, beta)
    bound = -beta * math.log(beta) - (1 - beta) * math.log(1 - beta)
    assert 0 < found.item() <= bound + 1e-9
    torch.testing.assert_close(found, jensen_shannon(theirs, ours, 1 - beta))


def test_its_ends_are_soft_targets_and_reverse_kl() -> None:
    ours, theirs, small = random(5, 3), random(5, 3, seed=1), 1e-6
    near = {"rtol": 1e-4, "atol": 1e-9}
    low = jensen_shannon(ours, theirs, small, 2.0) / small
    torch.testing.assert_close(low, soft_targets(ours, theirs, 2.0), **near)
    high = jensen_shannon(ours, theirs, 1 - small, 2.0) / small
    torch.testing.assert_close(high, reverse_kl(ours, theirs, 2.0), **near)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beta": 0.0}, "beta: 0.0 is not above 0 and below 1"),
        ({"beta": 1.0}, "beta: 1.0 is not above 0 and below 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    fields: dict[str, float], message: str
) -> None:  # fmt: skip
    with pytest.raises(ValueError, match=message):
        JensenShannon(**fields)
