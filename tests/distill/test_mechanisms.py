"""Students and teachers whose attention was replaced: objectives compare what they compute."""

from typing import Any

import pytest
import torch

from leanformer.attention import Blockwise, GlobalTokens, Linear, Mechanism, SlidingWindow
from leanformer.attention.hf.attach import attach
from leanformer.data import Batch, Task
from leanformer.distill.comparisons.attention_pairs import visible
from leanformer.distill.distillation import Distillation, outputs_of
from leanformer.distill.objectives import AttentionMaps, AttentionScores, Relations, SoftTargets
from leanformer.models.families import FAMILIES, OWN_ATTENTION
from leanformer.models.tiny import tiny_model

INPUTS = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9, 10], [5, 6, 7, 8, 0, 0]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]),
}
BATCH = Batch(INPUTS, torch.tensor([0, 1]), (0, 1))
TASK = Task(kind="classification", labels=("a", "b"))
NEAR = SlidingWindow(left=1, right=1) | GlobalTokens(tokens=(0,))
BY_HEAD = Blockwise(block_size=2, shifts=(0, 1))
WIDE = SlidingWindow(left=99, right=99)


def models(family: str = "bert", mechanism: Mechanism | None = None) -> tuple[Any, Any]:
    """A student, with a mechanism, and a dense teacher of the same size."""
    student, teacher = (tiny_model(family, num_labels=2, seed=seed)[0].eval() for seed in (1, 2))
    if mechanism is not None:
        attach(student, mechanism)
    return student, teacher


def terms(student: Any, teacher: Any, *objectives: Any) -> list[torch.Tensor]:
    loss = Distillation(objectives, student, teacher, TASK)
    counts = loss.counts(BATCH)
    return [term.total / counts[term.unit] for term in loss(student, BATCH)]


@pytest.mark.parametrize("mechanism", [NEAR, BY_HEAD], ids=["longformer", "blockwise"])
@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in OWN_ATTENTION])
def test_a_student_trains_as_its_mechanism_computes(family: str, mechanism: Mechanism) -> None:
    student, teacher = models(family, mechanism)
    (alone,) = terms(student, teacher, SoftTargets())
    beside, *others = terms(student, teacher, SoftTargets(), AttentionMaps(), AttentionScores())
    assert torch.equal(beside, alone)
    assert all(one > 0 and one.requires_grad for one in others)
    observed = outputs_of(student, INPUTS, "classification", attention=True)
    assert torch.equal(observed.logits, student(**INPUTS).logits)


@pytest.mark.parametrize("objective", [AttentionMaps(), AttentionScores()], ids=["maps", "scores"])
def test_a_window_over_everything_is_compared_as_dense_attention_is(objective: Any) -> None:
    (found,) = terms(*models(mechanism=WIDE), objective)
    (expected,) = terms(*models(), objective)
    torch.testing.assert_close(found, expected)


def test_pairs_count_where_the_pattern_lets_a_query_attend_to_a_key() -> None:
    student, teacher = models(mechanism=BY_HEAD)
    ours = outputs_of(student, INPUTS, "classification", attention=True)
    theirs = outputs_of(teacher, INPUTS, "classification", attention=True)
    found = visible(ours.attention[0], theirs.attention[0], ours.keep)
    for text, length in enumerate((6, 4)):
        for head in range(4):
            shift = head % 2
            for query in range(6):
                block = (query // 2 + shift) % (length // 2)
                for key in range(6):
                    expected = query < length and key < length and key // 2 == block
                    assert found[text, head, query, key] == expected


def test_a_mechanism_without_scores_is_refused_by_name_and_its_relations_are_compared() -> None:
    student, teacher = models(mechanism=Linear())
    for objective in (AttentionMaps(), AttentionScores()):
        with pytest.raises(ValueError, match=r"layer\.0\.attention\.self: LinearAttention .*relat"):
            terms(student, teacher, objective)
    (loss,) = terms(student, teacher, Relations(relation_heads=4))
    assert loss > 0


def test_a_mean_over_heads_that_attend_to_different_tokens_is_refused() -> None:
    student, teacher = models(mechanism=BY_HEAD)
    with pytest.raises(ValueError, match=r"heads: 'mean' .* set heads = 'each', or use relations"):
        terms(student, teacher, AttentionScores(heads="mean"))
