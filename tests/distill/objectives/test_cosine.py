import math

import pytest
import torch
from distill.objectives.naive import STUDENT, TEACHER, outputs, random
from hypothesis import given
from hypothesis import strategies as st

from leanformer.distill.objectives import Cosine
from leanformer.distill.objectives.cosine import cosine_distance


def test_it_equals_the_equation() -> None:
    ours, theirs = random(3, 5), random(3, 5, seed=1)
    total = 0.0
    for a, b in zip(ours.tolist(), theirs.tolist(), strict=True):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        total += 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    assert cosine_distance(ours, theirs).item() == pytest.approx(total / 3, abs=1e-12)


@given(seed=st.integers(0, 99), factor=st.floats(0.01, 100))
def test_only_direction_counts(seed: int, factor: float) -> None:
    vectors = random(4, 5, seed=seed)
    assert cosine_distance(factor * vectors, vectors).item() == pytest.approx(0, abs=1e-9)
    assert cosine_distance(-factor * vectors, vectors).item() == pytest.approx(2, abs=1e-9)


def test_gradient() -> None:
    theirs = random(3, 5, seed=1)
    assert torch.autograd.gradcheck(
        lambda v: cosine_distance(v, theirs), (random(3, 5).requires_grad_(),)
    )


def test_the_module_compares_the_output_vectors() -> None:
    ours, theirs = outputs(random(2, 5)), outputs(random(2, 5, seed=1), TEACHER)
    found = Cosine().build(STUDENT, TEACHER)(ours, theirs, None)
    torch.testing.assert_close(found, cosine_distance(ours.logits, theirs.logits))
