from typing import Any

import pytest
import torch
from distill.teachers_toy import model_for
from torch.nn import functional as F
from train.toy import TEXTS

from leanformer.distill.distillation import outputs_of
from leanformer.distill.objective import dims_of
from leanformer.distill.objectives import AttentionMaps, HiddenStates
from leanformer.distill.step import Distill
from leanformer.distill.teachers.ensemble import Ensemble, average_answers
from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.numerics.pooling import Pooling


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


def described(seed: int, **fields: Any) -> Any:
    model = model_for("embedding", seed)
    describe_embedding(model, tiny_tokenizer("bert"), Embedding(**fields))
    return model


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_are_averaged_each_pooled_as_its_teacher_says(normalize: bool) -> None:
    modes: tuple[Any, ...] = ("cls", "max", "mean_sqrt_len_tokens")
    teachers = [
        described(seed, pooling=Pooling(mode=mode, normalize=normalize))
        for seed, mode in enumerate(modes)
    ]
    vectors = [outputs_of(one, inputs(), "embedding").logits for one in teachers]
    expected = sum(vectors) / 3
    if normalize:
        expected = F.normalize(expected, dim=-1)
    found = outputs_of(Ensemble(teachers, "embedding"), inputs(), "embedding")
    torch.testing.assert_close(found.logits, expected)


def test_vectors_without_a_common_form_are_refused() -> None:
    plain, raw = described(0), described(1, pooling=Pooling(normalize=False))
    with pytest.raises(ValueError, match="teachers: some normalize their vectors and some do not"):
        Ensemble([plain, raw], "embedding")
    asked = described(1, prompts={"q": "query: "}, default_prompt_name="q")
    with pytest.raises(ValueError, match="teachers: their prompts are '' and 'query: '"):
        Ensemble([plain, asked], "embedding")


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


def test_decisions_are_averaged_as_probabilities() -> None:
    logits = [torch.tensor([[3.0, -40.0]]), torch.tensor([[-1.0, 0.5]])]
    found = torch.sigmoid(average_answers(logits, "multi-label").double())
    expected = torch.stack([torch.sigmoid(each.double()) for each in logits]).mean(0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
