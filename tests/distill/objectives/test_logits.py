import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, outputs, padded, random

from leanformer.distill.objectives import Logits
from leanformer.distill.objectives.logits import logit_error


def test_it_equals_the_equation() -> None:
    ours, theirs = random(5, 3), random(5, 3, seed=1)
    errors = [(ours[n, c] - theirs[n, c]).item() ** 2 for n in range(5) for c in range(3)]
    assert logit_error(ours, theirs).item() == pytest.approx(sum(errors) / 15, abs=1e-12)
    assert logit_error(ours, ours).item() == 0


def test_gradient() -> None:
    theirs = random(5, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda z: logit_error(z, theirs), (random(5, 3).requires_grad_(),)
    )


def test_padding_has_no_share() -> None:
    module = Logits().build(STUDENT, TEACHER)
    ours, theirs = outputs(random(2, 7, 4)), outputs(random(2, 7, 4, seed=1), TEACHER)
    expected = (ours.logits - theirs.logits)[KEEP].pow(2).mean()
    torch.testing.assert_close(module(ours, theirs, None), expected)
    torch.testing.assert_close(module(padded(ours, 9.0), padded(theirs, 0.0), None), expected)


def test_one_number_an_example_is_compared_as_it_is() -> None:
    module = Logits().build(STUDENT, TEACHER)
    ours, theirs = outputs(random(2, 1)), outputs(random(2, 1, seed=1), TEACHER)
    expected = (ours.logits - theirs.logits).pow(2).mean()
    torch.testing.assert_close(module(ours, theirs, None), expected)
