import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.objective import Dims
from leanformer.distill.objectives import HiddenStates
from leanformer.distill.objectives.hidden_states import hidden_error

LOGITS = random(2, 3)


def test_the_error_equals_the_equation() -> None:
    ours, theirs = random(2, 7, 3), random(2, 7, 3, seed=1)
    errors = [
        (ours[b, t, d] - theirs[b, t, d]).item() ** 2
        for b in range(2)
        for t in range(7)
        for d in range(3)
        if KEEP[b, t]
    ]
    found = hidden_error(ours, theirs, KEEP).item()
    assert found == pytest.approx(sum(errors) / len(errors), abs=1e-12)


def test_gradient() -> None:
    theirs = random(2, 7, 3, seed=1)
    assert torch.autograd.gradcheck(
        lambda h: hidden_error(h, theirs, KEEP), (random(2, 7, 3).requires_grad_(),)
    )


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5))
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int) -> None:
    module = HiddenStates().build(STUDENT, Dims(4, STUDENT.hidden))
    ours, theirs = outputs(LOGITS), outputs(LOGITS, Dims(4, STUDENT.hidden), seed=50)
    found = module(padded(ours, noise, extra), padded(theirs, 0.0, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))


@pytest.mark.parametrize(("levels", "used"), [(None, [0, 2, 4]), ((1, 1, 3), [1, 1, 3])])
def test_each_level_is_compared_with_its_own(
    levels: tuple[int, ...] | None, used: list[int]
) -> None:
    module = HiddenStates(levels=levels).build(STUDENT, TEACHER).double()
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    weight, bias = module.project.weight, module.project.bias
    errors = [
        hidden_error(level @ weight.T + bias, theirs.hidden[used[n]], KEEP)
        for n, level in enumerate(ours.hidden)
    ]
    torch.testing.assert_close(module(ours, theirs, None), sum(errors) / 3)


@pytest.mark.parametrize("levels", [(0, 1), (0, 1, 2, 3), (0, 1, 5)])
def test_levels_that_are_impossible_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"levels: .* must name 3 teacher levels from 0 to 4"):
        HiddenStates(levels=levels).build(STUDENT, TEACHER)
