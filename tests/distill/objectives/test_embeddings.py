import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.objectives import Embeddings

LOGITS = random(2, 3)


def test_it_equals_the_equation_with_a_projection() -> None:
    module = Embeddings().build(STUDENT, TEACHER).double()
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    weight, bias = module.project.weight.tolist(), module.project.bias.tolist()
    errors = []
    for b in range(2):
        for t in range(7):
            if not KEEP[b, t]:
                continue
            e_s, e_t = ours.hidden[0][b, t].tolist(), theirs.hidden[0][b, t].tolist()
            for d in range(5):
                seen = sum(w * e for w, e in zip(weight[d], e_s, strict=True)) + bias[d]
                errors.append((seen - e_t[d]) ** 2)
    found = module(ours, theirs, None).item()
    assert found == pytest.approx(sum(errors) / len(errors), abs=1e-12)


def test_equal_widths_are_compared_as_they_are() -> None:
    module = Embeddings().build(STUDENT, STUDENT)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, seed=50)
    expected = (ours.hidden[0] - theirs.hidden[0])[KEEP].pow(2).mean()
    torch.testing.assert_close(module(ours, theirs, None), expected)


def test_gradient() -> None:
    module = Embeddings().build(STUDENT, TEACHER).double()
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    level = ours.hidden[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda *_: module(ours, theirs, None), (level,))


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5))
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int) -> None:
    module = Embeddings().build(STUDENT, STUDENT)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, seed=50)
    found = module(padded(ours, noise, extra), padded(theirs, 0.0, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))
