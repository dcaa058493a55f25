import math
from dataclasses import replace

import pytest
import torch
from distill.objectives.naive import KEEP, STUDENT, TEACHER, causal, outputs, padded, random
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from leanformer.distill.objective import Dims
from leanformer.distill.objectives import Relations
from leanformer.distill.objectives.relations import relation_divergence, relation_scores

LOGITS = random(2, 3)


def naive_map(values: Tensor, relation_heads: int, b: int, r: int, t: int) -> list[float]:
    """How token t is related to the real ones in relation head r."""
    heads = values.shape[1]
    rows = [
        [x for h in range(heads) for x in values[b, h, s].tolist()]
        for s in range(7)
        if KEEP[b, s]
    ]  # fmt: skip
    width = len(rows[0]) // relation_heads
    parts = [row[r * width : (r + 1) * width] for row in rows]
    powers = [
        math.exp(sum(x * y for x, y in zip(parts[t], part, strict=True)) / math.sqrt(width))
        for part in parts
    ]
    return [power / sum(powers) for power in powers]


def naive(ours: Tensor, theirs: Tensor, relation_heads: int) -> float:
    divergences = []
    for b in range(2):
        for t in range(int(KEEP[b].sum())):
            for r in range(relation_heads):
                q = naive_map(ours, relation_heads, b, r, t)
                p = naive_map(theirs, relation_heads, b, r, t)
                divergences.append(sum(x * math.log(x / y) for x, y in zip(p, q, strict=True)))
    return sum(divergences) / len(divergences)


@pytest.mark.parametrize("relation_heads", [1, 2, 3, 6])
def test_the_divergence_equals_the_equation(relation_heads: int) -> None:
    ours, theirs = random(2, 2, 7, 3), random(2, 3, 7, 4, seed=1)
    found = relation_divergence(ours, theirs, KEEP, relation_heads).item()
    assert found == pytest.approx(naive(ours, theirs, relation_heads), abs=1e-12)


def test_as_many_relation_heads_as_heads_are_the_heads() -> None:
    values = random(2, 3, 7, 4)
    torch.testing.assert_close(relation_scores(values, 3), values @ values.mT / 2)


def test_gradient() -> None:
    theirs = random(2, 3, 7, 2, seed=1)
    assert torch.autograd.gradcheck(
        lambda x: relation_divergence(x, theirs, KEEP, 2), (random(2, 2, 7, 1).requires_grad_(),)
    )


@pytest.mark.parametrize(("layer", "used"), [(None, 3), (1, 1)])
def test_the_last_layer_is_compared_in_queries_keys_and_values(
    layer: int | None, used: int
) -> None:
    module = Relations(relation_heads=2, teacher_layer=layer).build(STUDENT, TEACHER)
    student, teacher = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    ours, theirs = student.attention[1], teacher.attention[used]
    expected = (
        naive(ours.query, theirs.query, 2)
        + naive(ours.key, theirs.key, 2)
        + naive(ours.value, theirs.value, 2)
    )
    assert module(student, teacher, None).item() == pytest.approx(expected / 3, abs=1e-12)


def test_models_of_other_widths_heads_and_shared_keys_can_be_compared() -> None:
    few = Dims(1, 4, heads=(4,))
    ours, theirs = outputs(LOGITS, few), outputs(LOGITS, TEACHER, seed=50)
    (layer,) = ours.attention
    shared = replace(layer, key=layer.key[:, :1], value=layer.value[:, :1])
    ours = replace(ours, attention=(shared,))
    found = Relations(relation_heads=2).build(few, TEACHER)(ours, theirs, None).item()
    last = theirs.attention[-1]
    parts = ((shared.query, last.query), (shared.key, last.key), (shared.value, last.value))
    assert found == pytest.approx(sum(naive(*both, 2) for both in parts) / 3, abs=1e-12)
    itself = Relations(relation_heads=2).build(few, few)(ours, ours, None).item()
    assert itself == pytest.approx(0, abs=1e-12)


def test_a_decoder_relates_later_tokens_too() -> None:
    module = Relations(relation_heads=2).build(STUDENT, TEACHER)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    assert torch.equal(module(causal(ours), causal(theirs), None), module(ours, theirs, None))


@given(noise=st.floats(-1e6, 1e6), extra=st.integers(0, 5))
def test_padding_has_no_share_whatever_is_in_it(noise: float, extra: int) -> None:
    module = Relations(relation_heads=2).build(STUDENT, TEACHER)
    ours, theirs = outputs(LOGITS), outputs(LOGITS, TEACHER, seed=50)
    found = module(padded(ours, noise, extra), padded(theirs, -noise, extra), None)
    torch.testing.assert_close(found, module(ours, theirs, None))


@given(seed=st.integers(0, 99))
def test_a_turn_of_all_vectors_changes_no_relation(seed: int) -> None:
    values = random(2, 1, 7, 4, seed=seed)
    turned = values @ torch.linalg.qr(random(4, 4, seed=seed + 100)).Q
    found = relation_divergence(turned, values, KEEP, 1).item()
    assert found == pytest.approx(0, abs=1e-9)


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValueError, match="relation_heads: 0 is not at least 1"):
        Relations(relation_heads=0)
    with pytest.raises(
        ValueError, match="teacher_layer: 4 is not a layer of the teacher, which has 0 to 3"
    ):
        Relations(teacher_layer=4).build(STUDENT, TEACHER)
    module = Relations(relation_heads=4).build(STUDENT, TEACHER)
    with pytest.raises(ValueError, match="relation_heads: heads of 6 numbers in all cannot be cut"):
        module(outputs(LOGITS), outputs(LOGITS, TEACHER), None)
