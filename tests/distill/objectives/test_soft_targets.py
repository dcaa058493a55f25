import math

import pytest
import torch
from distill.objectives.naive import random, softmax

from leanformer.distill.objectives.soft_targets import soft_targets


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_equals_the_equation(temperature: float) -> None:
    ours, theirs = random(5, 3), random(5, 3, seed=1)
    total = 0.0
    for student, teacher in zip(ours.tolist(), theirs.tolist(), strict=True):
        p_s, p_t = softmax(student, temperature), softmax(teacher, temperature)
        total += sum(t * math.log(t / s) for s, t in zip(p_s, p_t, strict=True))
    expected = temperature**2 * total / 5
    assert soft_targets(ours, theirs, temperature).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_its_gradient_is_the_difference_of_the_distributions(temperature: float) -> None:
    ours, theirs = random(5, 3).requires_grad_(), random(5, 3, seed=1)
    soft_targets(ours, theirs, temperature).backward()
    p_s, p_t = ((z / temperature).softmax(-1) for z in (ours.detach(), theirs))
    torch.testing.assert_close(ours.grad, temperature * (p_s - p_t) / 5)


def test_a_high_temperature_is_half_the_error_of_centred_logits() -> None:
    ours, theirs = random(4, 6), random(4, 6, seed=1)
    centred = (ours - ours.mean(1, keepdim=True)) - (theirs - theirs.mean(1, keepdim=True))
    limit = centred.pow(2).mean().item() / 2
    assert soft_targets(ours, theirs, 1e4).item() == pytest.approx(limit, rel=1e-3)


def test_nothing_compared_is_no_loss_and_no_gradient() -> None:
    logits = random(0, 4).requires_grad_()
    loss = soft_targets(logits, random(0, 4))
    loss.backward()
    assert loss.item() == 0
