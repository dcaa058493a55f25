import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distill.toy import LABELS, SETUP, SPARE, model_for
from train.toy import TEXTS, examples

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task, encode_examples
from leanformer.distill.distillation import Distillation
from leanformer.distill.objectives import (
    AttentionMaps,
    Cosine,
    HiddenStates,
    Labels,
    Logits,
    SoftTargets,
)
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train import Supervised, fit
from leanformer.train.evaluate import outputs
from leanformer.train.masking import masking
from leanformer.train.steps.pretrain import MaskedLanguage


def workspace(folder: Path, kind: Any, **changes: Any) -> Workspace:
    """A student of two layers beside a teacher of three that has learnt the task."""
    tokenizer = tiny_tokenizer("bert")
    task = Task(kind=kind, labels=LABELS.get(kind, ()))
    texts = Examples(texts=TEXTS) if kind == "embedding" else examples(kind)
    teacher = model_for(kind)
    if kind != "embedding":
        fit(teacher, encode_examples(texts, tokenizer, kind, 32), Supervised(kind), SETUP)
    spare = replace(SPARE, words=[t.split() for t in SPARE.texts]) if kind == "tokens" else SPARE
    dataset = Dataset(
        name="toy", task=task, train=texts, dev=texts, test=texts, unlabelled=spare
    )  # fmt: skip
    return Workspace(
        name="student", model=model_for(kind, seed=1, num_hidden_layers=2), tokenizer=tokenizer,
        dataset=dataset, folder=folder, record=Record(folder / "record.jsonl"), teacher=teacher,
    ).with_(**changes)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "objectives"),
    [
        ("classification", (SoftTargets(temperature=2.0), HiddenStates(weight=0.1), Labels())),
        ("regression", (Logits(), Labels(weight=0.5))),
        ("tokens", (SoftTargets(), Labels())),
        ("embedding", (Cosine(), HiddenStates(weight=0.1))),
    ],
)
def test_the_student_learns_what_the_teacher_says(
    tmp_path: Path, kind: Any, objectives: tuple[Any, ...]
) -> None:
    given = workspace(tmp_path, kind)
    kept = {key: value.clone() for key, value in given.teacher.state_dict().items()}
    done = Distill(objectives=objectives, train=SETUP).apply(given)
    (proof,) = done.proofs
    assert proof.before is not None
    assert proof.after > proof.before
    assert proof.after > 0.8
    assert proof.note == "18 texts, 0 cut to 128 tokens"
    assert all(torch.equal(value, kept[key]) for key, value in done.teacher.state_dict().items())


def test_unlabelled_texts_can_be_left_out(tmp_path: Path) -> None:
    step = Distill(train=replace(SETUP, epochs=1), unlabelled=False, require_improvement=False)
    (proof,) = step.apply(workspace(tmp_path, "classification")).proofs
    assert proof.note.startswith("16 texts")


def test_a_projection_begins_the_same_way_whatever_was_drawn_before(tmp_path: Path) -> None:
    results = []
    for index in range(2):
        torch.rand(100 * index)
        student = model_for("classification", seed=1, hidden_size=16, num_attention_heads=2)
        given = workspace(tmp_path / str(index), "classification", model=student)
        torch.rand(100 * index)
        step = Distill(
            objectives=(HiddenStates(), SoftTargets()), train=replace(SETUP, epochs=1),
            noise=0.2, require_improvement=False,
        )  # fmt: skip
        results.append(step.apply(given).model.classifier.weight)
    assert torch.equal(*results)


def test_a_training_without_effect_fails_unless_it_may(tmp_path: Path) -> None:
    step = Distill(train=replace(SETUP, learning_rate=1e-12, epochs=1))
    with pytest.raises(NoEffect, match="accuracy on dev: was"):
        step.apply(workspace(tmp_path, "classification"))
    assert (
        replace(step, require_improvement=False)
        .apply(workspace(tmp_path / "b", "classification"))
        .proofs[0]
        .ok
    )


def test_a_missing_teacher_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="distill: there is no teacher; name one"):
        Distill().apply(workspace(tmp_path, "embedding", teacher=None))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objectives": ()}, "objectives: none is named; soft-targets is the usual first one"),
        ({"noise": 1.0}, r"noise: 1.0 is not at least 0 and below 1"),
        ({"noise": 0.1, "teacher_cache": Path("x")}, "teacher_cache: noise changes what the teacher"),
        ({"noise": 0.1, "objectives": (Labels(),)}, "noise: gold labels do not hold for noisy texts"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distill(**fields)


@pytest.mark.parametrize("kind", ["classification", "tokens"])
def test_more_texts_are_made_of_the_training_texts(tmp_path: Path, kind: str) -> None:
    step = Distill(augmentation=Substitution(copies=3), train=SETUP)
    (proof,) = step.apply(workspace(tmp_path, kind)).proofs
    plain = len(TEXTS) + len(SPARE)
    assert plain < int(proof.note.split()[0]) <= plain + 3 * len(TEXTS)


def test_a_masked_language_model_learns_from_another(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer("bert")
    texts, task = Examples(texts=TEXTS), Task(kind="masked-lm")
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    teacher, _ = tiny_model("bert", head="masked")
    setup = replace(SETUP, epochs=20)
    hide = MaskedLanguage(masking(tokenizer, 0.3))
    fit(teacher, encode_examples(texts, tokenizer, "masked-lm", 32), hide, setup)
    student, _ = tiny_model("bert", head="masked", seed=1, num_hidden_layers=2)
    given = Workspace(
        name="student", model=student, tokenizer=tokenizer, dataset=dataset, folder=tmp_path,
        record=Record(tmp_path / "record.jsonl"), teacher=teacher,
    )  # fmt: skip
    step = Distill(
        objectives=(SoftTargets(temperature=2.0), Labels()), train=setup, mlm_probability=0.3
    )
    with pytest.raises(ValueError, match="teacher_cache: other tokens are hidden each time"):
        replace(step, teacher_cache=tmp_path / "outputs").apply(given)
    (proof,) = step.apply(given).proofs
    assert proof.claim == "masked_accuracy on dev"
    assert proof.before is not None
    assert proof.after > proof.before + 0.1


def test_cached_outputs_give_the_same_student_also_to_the_next(tmp_path: Path) -> None:
    kept = tmp_path / "outputs"
    step = Distill(objectives=(SoftTargets(), HiddenStates()), train=SETUP, teacher_cache=kept)
    first = step.apply(workspace(tmp_path / "1", "classification"))
    assert np.fromfile(kept / "checksums.bin", np.uint64).all()
    second = step.apply(workspace(tmp_path / "2", "classification"))
    assert second.proofs == first.proofs
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], value, rtol=0.01, atol=0.01)


def test_vectors_of_another_width_than_the_teachers_are_refused(tmp_path: Path) -> None:
    thin = model_for("embedding", hidden_size=16)
    step = Distill(objectives=(HiddenStates(),), train=SETUP, load_best_at_end=False)
    with pytest.raises(ValueError, match="vectors are 16 wide and the teacher's 32"):
        step.apply(workspace(tmp_path, "embedding", model=thin))


def test_a_compiled_student_is_not_compared_by_its_attention(tmp_path: Path) -> None:
    step = Distill(objectives=(AttentionMaps(),), train=replace(SETUP, compile=True))
    with pytest.raises(ValueError, match="compile: Distillation observes the model from outside"):
        step.apply(workspace(tmp_path, "classification"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_teacher_answers_and_is_cached_in_the_precision_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Any
) -> None:
    made, asked = Distillation.__init__, []

    def noted(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        asked.append(self._teacher[0])

    monkeypatch.setattr(Distillation, "__init__", noted)
    kept, setup = tmp_path / "outputs", replace(SETUP, steps=1, precision=precision)
    step = Distill(train=setup, teacher_cache=kept, require_improvement=False)
    step.apply(workspace(tmp_path / "1", "classification"))
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    assert {p.dtype for p in asked[0].parameters()} == {dtype}
    about = json.loads((kept / "outputs.json").read_text())
    assert about["dtype"] == str(dtype).removeprefix("torch.")
    numbers = about["logits"][0] * about["logits"][1]
    assert (kept / "logits.bin").stat().st_size == dtype.itemsize * numbers


def test_vectors_to_be_judged_by_are_the_teachers_in_fp32_where_the_training_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leanformer.train.precision.multiplies_bf16", lambda: True)
    given = workspace(tmp_path, "embedding")
    encoded = encode_examples(given.dataset.dev, given.tokenizer, "embedding", 128)
    expected = np.stack(outputs(given.teacher, encoded, "embedding", "fp32"))
    for precision in ("fp32", "bf16"):
        step = Distill(objectives=(Cosine(),), train=replace(SETUP, precision=precision))  # type: ignore[arg-type]
        found = step._vectors(given.dataset.dev, given.teacher, [given.tokenizer], True)
        assert np.array_equal(found, expected) == (precision == "fp32")
