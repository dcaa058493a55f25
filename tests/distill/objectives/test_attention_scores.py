from dataclasses import replace

import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, causal, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leanformer.distill.comparisons.layer_map import LayerMap
from leanformer.distill.objective import Dims
from leanformer.distill.objectives import AttentionScores
from leanformer.distill.objectives.attention_scores import score_error

LOGITS = random(2, 3)
PAIRS = KEEP.unsqueeze(2) & KEEP.unsqueeze(1)
FEWER = Dims(2, 3, heads=(2, 1))


def naive(ours: Tensor, theirs: Tensor, visible: Tensor) -> float:
    texts = []
    for b in range(len(ours)):
        errors = [
            (ours[b, h, t, s] - theirs[b, h, t, s]).item() ** 2
            for h in range(ours.shape[1])
            for t in range(7)
            for s in range(7)
            if visible[b, t, s]
        ]
        texts.append(sum(errors) / len(errors))
    return sum(texts) / len(texts)


def test_the_error_equals_the_equation() -> None:
    ours, theirs = random(2, 3, 7, 7), random(2, 3, 7, 7, seed=1)
    found = score_error(ours, theirs, PAIRS).item()
    assert found == pytest.approx(naive(ours, theirs, PAIRS), abs=1e-12)


def test_gradient() -> None:
    theirs = random(2, 1, 7, 7, seed=1)
    assert torch.autograd.gradcheck(
        lambda a: score_error(a, theirs, PAIRS), (random(2, 1, 7, 7).requires_grad_(),)
    )


@pytest.mark.parametrize(
    ("layers", "used"),
    [("uniform", [1, 3]), ("last-of-block", [1, 3]), ("last", [2, 3]), ((0, 0), [0, 0])],
)
def test_each_layer_is_compared_with_its_own(
    layers: LayerMap | tuple[int, ...], used: list[int]
) -> None:
    module = AttentionScores(teacher_layers=layers).build(STUDENT, TEACHER)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    expected = [
        naive(
            layer.query @ layer.key.mT / 3**0.5,
            theirs.attention[n].query @ theirs.attention[n].key.mT / 5**0.5,
            PAIRS,
        )
        for layer, n in zip(ours.attention, used, strict=True)
    ]
    assert module(ours, theirs, None).item() == pytest.approx(sum(expected) / 2, abs=1e-12)


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5), late=st.booleans())
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int, late: bool) -> None:
    module = AttentionScores().build(STUDENT, TEACHER)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    if late:
        ours, theirs = causal(ours), causal(theirs)
    found = module(padded(ours, noise, extra), padded(theirs, -noise, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))


def test_what_no_query_sees_has_no_share() -> None:
    module = AttentionScores().build(STUDENT, TEACHER)
    ours, theirs = causal(outputs(LOGITS)), outputs(LOGITS, TEACHER, seed=50)
    late = PAIRS & torch.ones(7, 7).tril().bool()
    expected = [
        naive(ours.attention[m].scores(), theirs.attention[n].scores(), late)
        for m, n in enumerate((1, 3))
    ]
    assert module(ours, theirs, None).item() == pytest.approx(sum(expected) / 2, abs=1e-12)


def test_heads_of_unequal_number_are_compared_in_their_mean() -> None:
    module = AttentionScores(heads="mean").build(FEWER, TEACHER)
    ours, theirs = outputs(LOGITS, FEWER), outputs(LOGITS, TEACHER, seed=50)
    expected = [
        naive(
            ours.attention[m].scores().mean(1, keepdim=True),
            theirs.attention[n].scores().mean(1, keepdim=True),
            PAIRS,
        )
        for m, n in enumerate((1, 3))
    ]
    assert module(ours, theirs, None).item() == pytest.approx(sum(expected) / 2, abs=1e-12)


def test_heads_without_counterpart_are_refused_when_built_or_when_seen() -> None:
    message = "heads: layer 1 of the student has 1 and layer 3 of the teacher 2, .* heads = 'mean'"
    with pytest.raises(ValueError, match=message):
        AttentionScores().build(FEWER, TEACHER)
    module = AttentionScores().build(replace(FEWER, heads=()), TEACHER)
    with pytest.raises(ValueError, match=message):
        module(outputs(LOGITS, FEWER), outputs(LOGITS, TEACHER), None)


def test_layers_that_are_impossible_are_refused() -> None:
    with pytest.raises(ValueError, match="teacher_layers: last cannot serve 4 student layers"):
        AttentionScores(teacher_layers="last").build(TEACHER, STUDENT)
