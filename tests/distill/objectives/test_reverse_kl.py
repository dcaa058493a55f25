import math

import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data import IGNORE
from leanformer.distill.objectives import ReverseKl
from leanformer.distill.objectives.reverse_kl import reverse_kl


def softmax(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(z / temperature) for z in row]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_equals_the_equation(temperature: float) -> None:
    ours, theirs = random(5, 3), random(5, 3, seed=1)
    total = 0.0
    for student, teacher in zip(ours.tolist(), theirs.tolist(), strict=True):
        p_s, p_t = softmax(student, temperature), softmax(teacher, temperature)
        total += sum(s * math.log(s / t) for s, t in zip(p_s, p_t, strict=True))
    expected = temperature**2 * total / 5
    assert reverse_kl(ours, theirs, temperature).item() == pytest.approx(expected, abs=1e-12)


def test_gradient() -> None:
    theirs = random(5, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda z: reverse_kl(z, theirs, 2.0), (random(5, 3).requires_grad_(),)
    )


@given(seed=st.integers(0, 99), temperature=st.floats(0.2, 20), shift=st.floats(-50, 50))
def test_it_is_zero_at_the_teacher_and_positive_elsewhere(
    seed: int, temperature: float, shift: float
) -> None:
    ours, theirs = random(4, 6, seed=seed), random(4, 6, seed=seed + 100)
    assert reverse_kl(ours + shift, ours, temperature).item() == pytest.approx(0, abs=1e-9)
    assert reverse_kl(ours, theirs, temperature).item() > 0


def test_it_would_rather_choose_one_of_two_than_spread() -> None:
    theirs = torch.tensor([[5.0, -5.0, 5.0]]).double()  # two likely classes
    choose = torch.tensor([[9.0, -9.0, -9.0]]).double()
    spread = torch.zeros(1, 3).double()
    assert reverse_kl(choose, theirs) < reverse_kl(spread, theirs)


def test_every_real_token_counts_and_padding_does_not() -> None:
    module = ReverseKl(temperature=2.0).build(STUDENT, TEACHER)
    ours, theirs = outputs(random(2, 7, 4)), outputs(random(2, 7, 4, seed=1), TEACHER)
    expected = reverse_kl(ours.logits[KEEP], theirs.logits[KEEP], 2.0)
    torch.testing.assert_close(module(ours, theirs, None), expected)
    for noise in (0.0, 1e6):
        found = module(padded(ours, noise), padded(theirs, -noise), None)
        torch.testing.assert_close(found, expected)


def test_only_labelled_tokens_can_be_compared_and_the_unit_says_so() -> None:
    masked = ReverseKl(tokens="masked")
    assert (ReverseKl().unit, masked.unit) == ("output", "target")
    ours, theirs = outputs(random(2, 7, 4)), outputs(random(2, 7, 4, seed=1), TEACHER)
    labels = torch.full((2, 7), IGNORE)
    labels[1, 1] = 0
    expected = reverse_kl(ours.logits[1, 1:2], theirs.logits[1, 1:2])
    torch.testing.assert_close(masked.build(STUDENT, TEACHER)(ours, theirs, labels), expected)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match=f"temperature: {temperature} is not positive"):
        ReverseKl(temperature=temperature)
