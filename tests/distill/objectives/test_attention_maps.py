import math
from dataclasses import replace

import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, causal, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leanformer.distill.objective import Dims
from leanformer.distill.objectives import AttentionMaps
from leanformer.distill.objectives.attention_maps import map_divergence

LOGITS = random(2, 3)
PAIRS = KEEP.unsqueeze(2) & KEEP.unsqueeze(1)
LATE = PAIRS & torch.ones(7, 7).tril().bool()


def softmax(row: list[float]) -> list[float]:
    powers = [math.exp(score) for score in row]
    return [power / sum(powers) for power in powers]


def naive(ours: Tensor, theirs: Tensor, visible: Tensor) -> float:
    divergences = []
    for b in range(2):
        for t in range(7):
            seen = visible[b, t].nonzero().flatten().tolist()
            for h in range(ours.shape[1] if seen else 0):
                q = softmax([ours[b, h, t, s].item() for s in seen])
                p = softmax([theirs[b, h, t, s].item() for s in seen])
                divergences.append(sum(x * math.log(x / y) for x, y in zip(p, q, strict=True)))
    return sum(divergences) / len(divergences)


@pytest.mark.parametrize("visible", [PAIRS, LATE])
def test_the_divergence_equals_the_equation(visible: Tensor) -> None:
    ours, theirs = random(2, 3, 7, 7), random(2, 3, 7, 7, seed=1)
    found = map_divergence(ours, theirs, visible[:, None]).item()
    assert found == pytest.approx(naive(ours, theirs, visible), abs=1e-12)


def test_its_gradient_is_that_of_the_cross_entropy() -> None:
    ours, theirs = random(2, 1, 7, 7).requires_grad_(), random(2, 1, 7, 7, seed=1)
    (slope,) = torch.autograd.grad(map_divergence(ours, theirs, LATE[:, None]), ours)
    difference = [
        scores.masked_fill(~LATE.unsqueeze(1), -torch.inf).softmax(-1).nan_to_num()
        for scores in (ours.detach(), theirs)
    ]
    expected = (difference[0] - difference[1]) / 10  # real tokens
    torch.testing.assert_close(slope, torch.where(LATE.unsqueeze(1), expected, 0.0))


def test_gradient() -> None:
    theirs = random(2, 1, 7, 7, seed=1)
    assert torch.autograd.gradcheck(
        lambda a: map_divergence(a, theirs, LATE[:, None]), (random(2, 1, 7, 7).requires_grad_(),)
    )


@given(seed=st.integers(0, 99), shift=st.floats(-50, 50))
def test_it_is_zero_at_the_teacher_and_positive_elsewhere(seed: int, shift: float) -> None:
    ours, theirs = random(2, 2, 7, 7, seed=seed), random(2, 2, 7, 7, seed=seed + 100)
    assert map_divergence(ours + shift, ours, PAIRS[:, None]).item() == pytest.approx(0, abs=1e-9)
    assert map_divergence(ours, theirs, PAIRS[:, None]).item() > 0


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5), late=st.booleans())
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int, late: bool) -> None:
    module = AttentionMaps().build(STUDENT, TEACHER)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    if late:
        ours, theirs = causal(ours), causal(theirs)
    found = module(padded(ours, noise, extra), padded(theirs, -noise, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))


@pytest.mark.parametrize(
    ("layers", "used"), [(None, [(0, 1), (1, 3)]), ((1,), [(1, 3)]), ((0,), [(0, 1)])]
)
def test_each_layer_that_is_asked_for_is_compared_with_its_own(
    layers: tuple[int, ...] | None, used: list[tuple[int, int]]
) -> None:
    module = AttentionMaps(layers=layers).build(STUDENT, TEACHER)
    ours, theirs = outputs(LOGITS), causal(outputs(LOGITS, TEACHER, seed=50))
    expected = [
        naive(ours.attention[m].scores(), theirs.attention[n].scores(), LATE) for m, n in used
    ]
    found = module(ours, theirs, None).item()
    assert found == pytest.approx(sum(expected) / len(used), abs=1e-12)


def test_heads_without_counterpart_are_refused_when_built_or_when_seen() -> None:
    fewer = Dims(2, 3, heads=(2, 1))
    message = "heads: layer 1 of the student has 1 and layer 3 of the teacher 2, .* use relations"
    with pytest.raises(ValueError, match=message):
        AttentionMaps().build(fewer, TEACHER)
    AttentionMaps(layers=(0,)).build(fewer, TEACHER)
    module = AttentionMaps().build(replace(fewer, heads=()), TEACHER)
    with pytest.raises(ValueError, match=message):
        module(outputs(LOGITS, fewer), outputs(LOGITS, TEACHER), None)
