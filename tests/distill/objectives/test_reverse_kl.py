import math

import pytest
import torch
from distill.objectives.naive import random, softmax

from leanformer.distill.objectives.reverse_kl import reverse_kl


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_equals_the_equation(temperature: float) -> None:
    ours, theirs = random(5, 3), random(5, 3, seed=1)
    total = 0.0
    for student, teacher in zip(ours.tolist(), theirs.tolist(), strict=True):
        p_s, p_t = softmax(student, temperature), softmax(teacher, temperature)
        total += sum(s * math.log(s / t) for s, t in zip(p_s, p_t, strict=True))
    expected = temperature**2 * total / 5
    assert reverse_kl(ours, theirs, temperature).item() == pytest.approx(expected, abs=1e-12)


def test_it_would_rather_choose_one_of_two_than_spread() -> None:
    theirs = torch.tensor([[5.0, -5.0, 5.0]]).double()  # two likely classes
    choose = torch.tensor([[9.0, -9.0, -9.0]]).double()
    spread = torch.zeros(1, 3).double()
    assert reverse_kl(choose, theirs) < reverse_kl(spread, theirs)
