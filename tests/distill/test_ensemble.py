from typing import Any

import pytest
import torch
from distill.teachers_toy import model_for
from torch.nn import functional as F
from train.toy import TEXTS

from leanformer.distill.distillation import outputs_of
from leanformer.distill.ensemble import Ensemble, average_answers, average_pooled
from leanformer.distill.objective import dims_of
from leanformer.distill.objectives import AttentionMaps, HiddenStates
from leanformer.distill.step import Distill
from leanformer.models.tiny_tokenizers import tiny_tokenizer


def inputs() -> dict[str, torch.Tensor]:
    return dict(tiny_tokenizer("bert")(TEXTS[:3], padding=True, return_tensors="pt"))


def test_probabilities_are_averaged() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = [torch.randn(7, 5, generator=generator, dtype=torch.float64) for _ in range(3)]
    found = average_answers(logits, "classification")
    expected = sum(one.exp() / one.exp().sum(-1, keepdim=True) for one in logits) / 3
    torch.testing.assert_close(found.exp(), expected)
    # equal teachers say what each of them says
    same = average_answers([logits[0]] * 2, "classification")
    torch.testing.assert_close(same, F.log_softmax(logits[0], dim=-1))


def test_numbers_are_averaged() -> None:
    logits = [torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [-3.0]])]
    assert average_answers(logits, "regression").tolist() == [[1.5], [0.0]]


def test_vectors_are_averaged_by_their_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1]])
    states = [torch.randn(2, 7, 5, generator=generator) for _ in range(2)]
    states[1] = 100 * states[1]  # a teacher with long states weighs no more
    pooled = [
        torch.stack([state[row, : int(mask[row].sum())].mean(0) for row in range(2)])
        for state in states
    ]
    expected = F.normalize(sum(F.normalize(one, dim=-1) for one in pooled), dim=-1)
    ours = average_pooled(states, mask)
    found = torch.stack([ours[row, : int(mask[row].sum())].mean(0) for row in range(2)])
    torch.testing.assert_close(F.normalize(found, dim=-1), expected)


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens", "masked-lm"])
def test_an_ensemble_answers_like_a_model(kind: Any) -> None:
    teachers = [model_for(kind, seed) for seed in range(3)]
    whole = Ensemble(teachers, kind)
    assert dims_of(whole) == dims_of(teachers[0])
    assert whole.get_input_embeddings() is teachers[0].get_input_embeddings()
    found = outputs_of(whole, inputs(), kind)
    alone = [outputs_of(one, inputs(), kind).logits for one in teachers]
    assert torch.equal(found.logits, average_answers(alone, kind))
    with pytest.raises(ValueError, match="hidden states of several teachers are not compared"):
        outputs_of(whole, inputs(), kind, hidden=True)


def test_hidden_states_are_averaged_where_it_is_asked_for() -> None:
    teachers = [model_for("embedding", seed) for seed in range(2)]
    found = outputs_of(Ensemble(teachers, "embedding", True), inputs(), "embedding", hidden=True)
    first, second = (outputs_of(one, inputs(), "embedding", hidden=True) for one in teachers)
    for level, a, b in zip(found.hidden, first.hidden, second.hidden, strict=True):
        torch.testing.assert_close(level, (a + b) / 2)
    expected = F.normalize(first.logits + second.logits, dim=-1)
    torch.testing.assert_close(found.logits, expected)


def test_teachers_that_have_no_average_are_refused() -> None:
    deep, shallow = model_for("classification"), model_for("classification", num_hidden_layers=2)
    Ensemble([deep, shallow], "classification")
    with pytest.raises(ValueError, match="average_hidden: the teachers are not of one"):
        Ensemble([deep, shallow], "classification", average_hidden=True)
    with pytest.raises(ValueError, match="their outputs are 2, 1 wide and have no average"):
        Ensemble([deep, model_for("regression")], "classification")
    thin = model_for("embedding", hidden_size=16)
    with pytest.raises(ValueError, match="their outputs are 32, 16 wide"):
        Ensemble([model_for("embedding"), thin], "embedding")


def test_objectives_without_a_common_answer_are_refused() -> None:
    with pytest.raises(ValueError, match="heads of several teachers have no average"):
        Distill(objectives=(AttentionMaps(),), teachers=("a",), average_hidden=True)
    with pytest.raises(ValueError, match="hidden states of several teachers are not compared"):
        Distill(objectives=(HiddenStates(),), teachers=("a",))
    assert Distill(objectives=(HiddenStates(),), teachers=("a",), average_hidden=True).teachers
