import dataclasses
from pathlib import Path
from typing import Any

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
from leanformer.distill.students.mobilebert import Mobilebert, mobilebert_from
from leanformer.distill.students.mobilebert_body import MobileBertBody
from leanformer.distill.students.mobilebert_names import body_state
from leanformer.models.anatomy import anatomy_of
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model

SMALL: dict[str, Any] = {
    "layers": 4, "hidden": 16, "within": 8, "embedding": 6, "ffn": 8, "stacked": 2, "heads": 2,
}  # fmt: skip
SHAPE = Mobilebert(**SMALL).shape(158)


@pytest.mark.parametrize("head", ENDING)
def test_it_has_the_teachers_head_and_learns(head: str) -> None:
    student = mobilebert_from(teacher(head), SHAPE)
    assert type(student).__name__ == f"MobileBert{ENDING[head]}"
    assert not student.training
    unread = ("pooler",) if head == "embedding" else ()
    reaches_every_parameter(student, but=(*unread, "key.bias"))


@pytest.mark.parametrize("head", ENDING)
def test_it_is_saved_and_loaded(head: str, tmp_path: Path) -> None:
    same_after_saving(mobilebert_from(teacher(head), SHAPE), tmp_path / "student")


def test_it_computes_what_the_body_says() -> None:
    student = mobilebert_from(teacher().double(), SHAPE)
    bare = student.mobilebert.state_dict()
    body = MobileBertBody(dataclasses.replace(SHAPE, positions=64)).double()
    body.load_state_dict(body_state(bare), strict=True)
    batch = inputs()
    with torch.no_grad():
        found = body(batch["input_ids"], batch["attention_mask"].bool())
    for ours, theirs in zip(found, hidden_states(student), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_step_gives_a_student_with_teacher_and_proofs(tmp_path: Path) -> None:
    given = workspace(tmp_path)
    done = Mobilebert(**SMALL).apply(given)
    assert done.teacher is given.model
    assert done.tokenizer is given.tokenizer
    assert done.model.config.num_labels == 3
    layers, inner, _ = done.proofs
    assert (layers.before, layers.after, layers.note) == (3, 4, "random weights")
    assert inner.after == sum(p.numel() for p in done.model.mobilebert.encoder.parameters())


def test_it_is_saved_and_loaded_by_our_own_door(tmp_path: Path) -> None:
    done = Mobilebert(**SMALL).apply(workspace(tmp_path))
    save_model(done.model, done.tokenizer, tmp_path / "model")
    again, _ = load_model(tmp_path / "model", "classification")
    for name, value in done.model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    with pytest.raises(ValueError, match="'mobilebert' is not known"):
        anatomy_of(again)


def test_a_mobilebert_passes_on_its_embeddings_and_head(tmp_path: Path) -> None:
    big = mobilebert_from(teacher(), Mobilebert(**{**SMALL, "within": 32}).shape(158), seed=5)
    done = Mobilebert(**SMALL).apply(workspace(tmp_path, theirs=big))
    ours, theirs = done.model.state_dict(), big.state_dict()
    for key in theirs:
        if "encoder" not in key:
            assert torch.equal(ours[key], theirs[key]), key
    assert ours["mobilebert.encoder.layer.0.output.dense.weight"].shape[0] == 8
    assert done.proofs[0].note == "random layers, the teacher's embeddings and head"


def test_random_is_the_seeds() -> None:
    words = [
        mobilebert_from(teacher(), SHAPE, seed=seed).mobilebert.embeddings.word_embeddings.weight
        for seed in (0, 0, 1)
    ]
    assert torch.equal(words[0], words[1])
    assert not torch.equal(words[0], words[2])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"layers": 0}, "layers: 0 is not at least 1"),
        ({"stacked": 0}, "stacked: 0 is not at least 1"),
        ({"within": 130}, "within: 130 is not a multiple of the 4 heads"),
        ({"embedding": 600}, "embedding: 600 is wider than hidden, 512"),
    ],
)
def test_settings_out_of_range_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mobilebert(**fields)


def test_other_architectures_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"'roberta', and this student is made from Bert or Mobile"
    ):
        Mobilebert(**SMALL).apply(workspace(tmp_path, family="roberta"))


def test_a_student_larger_than_its_teacher_fails_loudly(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match="parameters of the layers: was"):
        Mobilebert(**{**SMALL, "layers": 12, "ffn": 64, "within": 16}).apply(workspace(tmp_path))
