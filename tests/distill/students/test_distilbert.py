from pathlib import Path

import pytest
import torch
from distill.students.given import (
    ENDING,
    hidden_states,
    inputs,
    reaches_every_parameter,
    same_after_saving,
    teacher,
    workspace,
)

from leanformer.core.proof import NoEffect
from leanformer.distill.students.distilbert import Distilbert, distilbert_from
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model


@pytest.mark.parametrize("head", ENDING)
def test_with_every_layer_it_is_its_teacher(head: str) -> None:
    bert = teacher(head).double()
    student = distilbert_from(bert, [0, 1, 2])
    assert type(student).__name__ == f"DistilBert{ENDING[head]}"
    assert not student.training
    for ours, theirs in zip(hidden_states(student), hidden_states(bert), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
        assert (ours - theirs).abs().max() < 1e-12  # and far below what the oracle asks


@pytest.mark.parametrize("head", ["masked", "tokens"])
def test_heads_for_tokens_and_words_are_exact(head: str) -> None:
    bert = teacher(head).double()
    student = distilbert_from(bert, [0, 1, 2])
    with torch.no_grad():
        ours, theirs = student(**inputs()).logits, bert(**inputs()).logits
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_words_and_head_of_a_masked_lm_stay_one_tensor() -> None:
    student = distilbert_from(teacher("masked"), [0])
    assert student.vocab_projector.weight is student.distilbert.embeddings.word_embeddings.weight


def test_the_classifier_begins_with_the_pooler() -> None:
    bert = teacher().double()
    student = distilbert_from(bert, [0, 1, 2])
    with torch.no_grad():
        first = bert.bert(**inputs()).last_hidden_state[:, 0]
        before = bert.bert.pooler.dense(first)
        expected = bert.classifier(before.relu())
        torch.testing.assert_close(student(**inputs()).logits, expected, rtol=0, atol=1e-10)


def test_the_published_layers_are_copied() -> None:
    bert = teacher("embedding", num_hidden_layers=12)
    student = Distilbert().apply(workspace(Path(), model=bert)).model
    for ours, number in zip(student.transformer.layer, [0, 2, 4, 7, 9, 11], strict=True):
        theirs = bert.encoder.layer[number]
        assert torch.equal(ours.attention.v_lin.weight, theirs.attention.self.value.weight)
        assert torch.equal(ours.output_layer_norm.bias, theirs.output.LayerNorm.bias)
    assert student.config.activation == bert.config.hidden_act


def test_there_are_no_token_types_and_no_pooler() -> None:
    student = distilbert_from(teacher(), [0])
    names = " ".join(student.state_dict())
    assert "token_type" not in names
    assert "pooler" not in names
    types = torch.ones_like(inputs()["input_ids"])
    with torch.no_grad():  # the shared tokenizer still gives them for pairs
        marked = student(**inputs(), token_type_ids=types).logits
        assert torch.equal(marked, student(**inputs()).logits)


def test_a_teachers_embeddings_are_left_alone() -> None:
    bert = teacher()
    kept = {key: value.clone() for key, value in bert.state_dict().items()}
    student = distilbert_from(bert, [0, 2])
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert all(torch.equal(value, kept[key]) for key, value in bert.state_dict().items())


def test_the_step_gives_a_student_with_teacher_and_proofs(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    done = Distilbert(layers=(0, 2)).apply(given)
    assert done.teacher is given.model
    assert done.tokenizer is done.teacher_tokenizer is given.tokenizer
    assert done.model.config.num_labels == 3
    assert [proof.claim for proof in done.proofs] == [
        "layers",
        "parameters of the layers",
        "parameters",
    ]
    assert done.proofs[0].note == "layers 0, 2 of the teacher"


@pytest.mark.parametrize("head", ENDING)
def test_a_gradient_reaches_every_parameter(head: str) -> None:
    reaches_every_parameter(distilbert_from(teacher(head), [0, 2]))


@pytest.mark.parametrize("head", ENDING)
def test_it_is_saved_and_loaded(head: str, tmp_path: Path) -> None:
    same_after_saving(distilbert_from(teacher(head), [0, 2]), tmp_path / "student")


def test_it_loads_as_a_model_of_ours(tmp_path: Path) -> None:
    done = Distilbert().apply(workspace(tmp_path))
    save_model(done.model, done.tokenizer, tmp_path / "student")
    model, _ = load_model(tmp_path / "student", "classification")
    with torch.no_grad():
        assert torch.equal(model(**inputs()).logits, done.model(**inputs()).logits)


@pytest.mark.parametrize(
    ("step", "family", "message"),
    [
        (Distilbert(layers=4), "bert", "layers: 4 cannot be taken from a teacher of 3"),
        (Distilbert(layers=(0, 5)), "bert", "layers: layer 5 is out of range"),
        (Distilbert(), "electra", "distilbert: the teacher is a Electra.* of architecture 'electra'"),
    ],
)  # fmt: skip
def test_a_refusal_changes_nothing(
    step: Distilbert, family: str, message: str, tmp_path: Path
) -> None:
    given = workspace(tmp_path, family=family)
    with pytest.raises(ValueError, match=message):
        step.apply(given)
    assert given.model.config.num_hidden_layers == 3


def test_all_layers_are_no_student(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match=r"parameters of the layers: was (\S+) and is \1"):
        Distilbert(layers=3).apply(workspace(tmp_path))


def test_a_distilbert_is_no_teacher_of_it() -> None:
    with pytest.raises(ValueError, match="of architecture 'distilbert'"):
        distilbert_from(tiny_model("distilbert")[0], [0])
