import math

import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.objective import Dims
from leanformer.distill.objectives import LastHidden

LOGITS = random(2, 3)
WIDE = Dims(4, STUDENT.hidden)


def test_it_equals_the_equation_at_the_last_levels() -> None:
    ours, theirs = outputs(LOGITS), outputs(LOGITS, WIDE, seed=50)
    errors = []
    for b in range(2):
        for t in range(7):
            if KEEP[b, t]:
                h_s, h_t = ours.hidden[2][b, t].tolist(), theirs.hidden[4][b, t].tolist()
                dot = sum(x * y for x, y in zip(h_s, h_t, strict=True))
                errors.append(1 - dot / math.hypot(*h_s) / math.hypot(*h_t))
    found = LastHidden().build(STUDENT, WIDE)(ours, theirs, None).item()
    assert found == pytest.approx(sum(errors) / len(errors), abs=1e-12)


def test_gradient() -> None:
    module = LastHidden().build(STUDENT, WIDE)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, WIDE, seed=50)
    level = ours.hidden[-1].requires_grad_()
    assert torch.autograd.gradcheck(lambda *_: module(ours, theirs, None), (level,))


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5))
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int) -> None:
    module = LastHidden().build(STUDENT, WIDE)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, WIDE, seed=50)
    found = module(padded(ours, noise, extra), padded(theirs, 0.0, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))
