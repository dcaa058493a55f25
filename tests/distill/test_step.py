from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from train.toy import FAST, TEXTS, examples

from leanformer.core.record import Record
from leanformer.core.step import NoEffect
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Encoded, Examples, Task, encode_examples
from leanformer.data.task import joined
from leanformer.distill.objective import dims_of
from leanformer.distill.objectives import Cosine, HiddenStates, Labels, Logits, SoftTargets
from leanformer.distill.distillation import Distillation, outputs_of, translation
from leanformer.distill.step import Distill
from leanformer.distill.substitution import Substitution
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train import Supervised, TrainSetup, fit
from leanformer.train.masking import masking
from leanformer.train.pretrain import MaskedLanguage

LABELS = {"classification": ("music", "rice"), "tokens": ("O", "rice")}
SETUP = replace(FAST, epochs=8, checkpoint_seconds=60.0)
SPARE = Examples(texts=["rice and music for two people", "the quiet mountains"])


def model_for(kind: str, seed: int = 0, **settings: Any) -> Any:
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    width = 1 if kind == "regression" else 2
    return tiny_model("bert", head=head, num_labels=width, seed=seed, **settings)[0]


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
    step = Distill(train=replace(SETUP, epochs=1), unlabelled=False, regain=False)
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
            noise=0.2, regain=False,
        )  # fmt: skip
        results.append(step.apply(given).model.classifier.weight)
    assert torch.equal(*results)


def test_a_training_without_effect_fails_unless_it_may(tmp_path: Path) -> None:
    step = Distill(train=replace(SETUP, learning_rate=1e-12, epochs=1))
    with pytest.raises(NoEffect, match="accuracy on dev: was"):
        step.apply(workspace(tmp_path, "classification"))
    assert (
        replace(step, regain=False).apply(workspace(tmp_path / "b", "classification")).proofs[0].ok
    )


def test_a_missing_teacher_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="distill: there is no teacher; name one"):
        Distill().apply(workspace(tmp_path, "embedding", teacher=None))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"objectives": ()}, "objectives: none is named; soft-targets is the usual first one"),
        ({"noise": 1.0}, r"noise: 1.0 is not a share of the tokens in \[0, 1\)"),
        ({"noise": 0.1, "objectives": (Labels(),)}, "noise: gold labels do not hold for noisy texts"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distill(**fields)


def slopes(kind: Any, encoded: Encoded, setup: TrainSetup, objectives: Any) -> list[Tensor]:
    """The gradients of the first step."""
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    student = model_for(kind, seed=1, num_hidden_layers=2, **off)
    task = Task(kind=kind, labels=LABELS.get(kind, ()))
    loss = Distillation(objectives, student, model_for(kind), task)
    seen: list[Tensor] = []

    def keep(optimizer: Any, args: Any, kwargs: Any) -> None:
        if not seen:
            seen.extend(p.grad.clone() for g in optimizer.param_groups for p in g["params"])

    handle = register_optimizer_step_pre_hook(keep)
    try:
        fit(student, encoded, loss, setup)
    finally:
        handle.remove()
    return seen


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_parts_of_a_batch_give_the_gradient_of_the_whole_with_unlabelled_texts(kind: Any) -> None:
    spare = replace(SPARE, words=[t.split() for t in SPARE.texts]) if kind == "tokens" else SPARE
    texts = joined(examples(kind), spare, kind)
    encoded = encode_examples(texts, tiny_tokenizer("bert"), kind, 32)
    first = Logits() if kind == "regression" else SoftTargets()
    objectives = (first, HiddenStates(weight=0.2), Labels(weight=3.0))
    setup = replace(FAST, epochs=1, batch_size=18, clip=0.0)
    # the teacher answers in bf16, whose rounding depends on the padding: hence the tolerance
    whole, parts = (
        slopes(kind, encoded, replace(setup, micro_tokens=budget), objectives)
        for budget in (10**6, 40)
    )
    for ours, theirs in zip(parts, whole, strict=True):
        assert (ours - theirs).norm() <= 0.01 * theirs.norm() + 1e-5


def test_translation_finds_each_token_of_a_cut_vocabulary() -> None:
    whole = tiny_tokenizer("bert")
    assert translation(whole, tiny_tokenizer("bert")) is None
    vocabulary = whole.get_vocab()
    kept = [token for token in sorted(vocabulary, key=vocabulary.get) if "x" not in token]
    small = type(whole)(vocab={token: index for index, token in enumerate(kept)})
    table = translation(small, whole)
    assert table is not None
    assert table.shape == (len(kept),)
    assert [whole.convert_ids_to_tokens(int(index)) for index in table] == kept
    text = "the quiet mountains"
    ids = torch.tensor(small(text)["input_ids"])
    assert table[ids].tolist() == whole(text)["input_ids"]
    with pytest.raises(
        ValueError, match=r"the student's tokenizer has \d+ tokens that the teacher's"
    ):
        translation(whole, small)


def test_a_teacher_reads_a_cut_vocabulary_as_its_own() -> None:
    teacher = model_for("classification")
    encoded = encode_examples(examples(), tiny_tokenizer("bert"), "classification", 32)
    batch = encoded.batch([0, 3, 9])
    student = model_for("classification", seed=1)
    swap = torch.randperm(student.config.vocab_size, generator=torch.Generator().manual_seed(0))
    other = model_for("classification", seed=1)
    other.bert.embeddings.word_embeddings.weight.data[torch.argsort(swap)] = (
        student.bert.embeddings.word_embeddings.weight.data.clone()
    )
    renamed = replace(
        batch, inputs={**batch.inputs, "input_ids": torch.argsort(swap)[batch.inputs["input_ids"]]}
    )
    task = Task(kind="classification", labels=("a", "b"))
    plain = Distillation((SoftTargets(),), student, teacher, task)(student, batch)
    translated = Distillation((SoftTargets(),), other, teacher, task, swap)(other, renamed)
    torch.testing.assert_close(translated[0].mean, plain[0].mean)


def test_outputs_of_an_embedding_model_are_pooled() -> None:
    model = model_for("embedding")
    encoded = encode_examples(Examples(texts=TEXTS), tiny_tokenizer("bert"), "embedding", 32)
    batch = encoded.batch([0, 15])
    found = outputs_of(model, batch.inputs, "embedding", hidden=True)
    assert found.logits.shape == (2, 32)
    np.testing.assert_allclose(found.logits.detach().norm(dim=1), 1, rtol=1e-5)
    assert len(found.hidden) == 4
    assert torch.equal(found.keep, batch.inputs["attention_mask"].bool())
    assert outputs_of(model, batch.inputs, "embedding", hidden=False).hidden == ()


def test_objectives_serve_in_a_plain_loop() -> None:
    teacher, student = model_for("classification"), model_for("classification", seed=1)
    inputs = (
        encode_examples(examples(), tiny_tokenizer("bert"), "classification", 32)
        .batch([0, 7])
        .inputs
    )
    compare = SoftTargets(temperature=2.0).build(dims_of(student), dims_of(teacher))
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    losses = []
    for _ in range(10):
        with torch.no_grad():
            theirs = outputs_of(teacher, inputs, "classification", hidden=False)
        loss = compare(outputs_of(student, inputs, "classification", hidden=False), theirs, None)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_objectives_serve_in_the_trainer_of_transformers(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    from transformers import Trainer, TrainingArguments

    from leanformer.distill.objectives.soft_targets import soft_targets

    tokenizer = tiny_tokenizer("bert")
    teacher, student = model_for("classification"), model_for("classification", seed=1)
    rows = [
        dict(tokenizer(text, padding="max_length", max_length=16, truncation=True))
        for text in TEXTS
    ]

    class Distiller(Trainer):
        def compute_loss(
            self, model: nn.Module, inputs: Any, return_outputs: bool = False, **_: Any
        ) -> Any:
            output = model(**inputs)
            with torch.no_grad():
                theirs = teacher(**inputs).logits
            loss = soft_targets(output.logits, theirs)
            return (loss, output) if return_outputs else loss

    arguments = TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=3, learning_rate=2e-3, logging_steps=1,
        report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    trainer = Distiller(model=student, args=arguments, train_dataset=rows)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]


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
    step = Distill(objectives=(SoftTargets(temperature=2.0), Labels()), train=setup, masked=0.3)
    (proof,) = step.apply(given).proofs
    assert proof.claim == "masked_accuracy on dev"
    assert proof.before is not None
    assert proof.after > proof.before + 0.1


def test_both_masked_language_models_see_the_same_hidden_tokens() -> None:
    tokenizer = tiny_tokenizer("bert")
    student, _ = tiny_model("bert", head="masked")
    loss = Distillation(
        (SoftTargets(),), student, student, Task(kind="masked-lm"), hide=masking(tokenizer, 0.5)
    )
    encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "masked-lm", 32)
    batch = encoded.batch([0, 1, 2, 3])
    shown = loss.prepared(batch)
    assert shown.labels is not None
    assert not torch.equal(shown.inputs["input_ids"], batch.inputs["input_ids"])
    (term,) = loss(student, shown)
    assert term.unit == "token"
    assert term.mean.item() == pytest.approx(0, abs=0.02)  # the teacher's copy is in bf16
