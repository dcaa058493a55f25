from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distill.toy import LABELS, SPARE, model_for
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from train.toy import FAST, TEXTS, examples

from leanformer.data import IGNORE, Encoded, Examples, Task, encode_examples
from leanformer.data.task import joined
from leanformer.distill.distillation import Distillation, outputs_of
from leanformer.distill.objective import dims_of
from leanformer.distill.objectives import HiddenStates, Labels, Logits, SoftTargets
from leanformer.distill.teachers.ensemble import Ensemble
from leanformer.distill.teachers.translation import Translation
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train import TrainSetup, fit
from leanformer.train.masking import masking


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
    setup = replace(FAST, epochs=1, batch_size=18, max_grad_norm=0.0)
    # the teacher answers in bf16, whose rounding depends on the padding: hence the tolerance
    whole, parts = (
        slopes(kind, encoded, replace(setup, max_tokens_per_microbatch=budget), objectives)
        for budget in (10**6, 40)
    )
    for ours, theirs in zip(parts, whole, strict=True):
        assert (ours - theirs).norm() <= 0.01 * theirs.norm() + 1e-5


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
    table = Translation(swap.unsqueeze(1), torch.ones_like(swap))
    plain = Distillation((SoftTargets(),), student, teacher, task)(student, batch)
    translated = Distillation((SoftTargets(),), other, teacher, task, table)(other, renamed)
    torch.testing.assert_close(translated[0].total, plain[0].total)


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


def test_both_masked_language_models_see_the_same_hidden_tokens() -> None:
    tokenizer = tiny_tokenizer("bert")
    student, _ = tiny_model("bert", head="masked")
    loss = Distillation(
        (SoftTargets(),), student, student, Task(kind="masked-lm"), hide=masking(tokenizer, 0.5)
    )
    encoded = encode_examples(Examples(texts=TEXTS), tokenizer, "masked-lm", 32)
    batch = encoded.batch([0, 1, 2, 3])
    shown = loss.transform_batch(batch)
    assert shown.labels is not None
    assert not torch.equal(shown.inputs["input_ids"], batch.inputs["input_ids"])
    (term,) = loss(student, shown)
    assert term.unit == "token"
    assert term.total.item() / shown.tokens == pytest.approx(
        0, abs=0.02
    )  # the teacher's copy is in bf16


def test_a_part_without_a_hidden_token_adds_nothing() -> None:
    """A mean over no token is 0 / 0; its part of the batch has no share in the loss."""
    student, _ = tiny_model("bert", head="masked")
    task = Task(kind="masked-lm")
    loss = Distillation((SoftTargets(tokens="masked"),), student, student, task)
    encoded = encode_examples(Examples(texts=TEXTS[:2]), tiny_tokenizer("bert"), "masked-lm", 32)
    batch = encoded.batch([0, 1])
    nothing = replace(batch, labels=torch.full_like(batch.inputs["input_ids"], IGNORE))
    (term,) = loss(student, nothing)
    assert term.total.item() == 0
    term.total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in student.parameters())


def test_one_objective_that_compares_texts_makes_the_loss_need_whole_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, task = model_for("classification"), Task(kind="classification", labels=("a", "b"))
    objectives = (SoftTargets(), Labels())
    assert Distillation(objectives, model, model, task).additive
    monkeypatch.setattr(Labels, "additive", False)
    assert not Distillation(objectives, model, model, task).additive


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.bfloat16)],
)
def test_a_teacher_answers_in_the_precision_of_the_training(precision: str, dtype: Any) -> None:
    """Beside a student in fp16 it stays in bf16, whose range is fp32's."""
    teacher, _ = tiny_model("llama", num_labels=2)
    student, tokenizer = tiny_model("llama", num_labels=2, seed=1)
    task = Task(kind="classification", labels=("a", "b"))
    loss = Distillation(
        (SoftTargets(), HiddenStates()), student, teacher, task, precision=precision
    )
    copied = loss._teacher[0]
    assert {p.dtype for p in copied.parameters()} == {dtype}
    for name, buffer in teacher.named_buffers():
        assert torch.equal(copied.get_buffer(name), buffer), name
    batch = encode_examples(examples(), tokenizer, "classification", 32).batch([0, 7])
    expected = outputs_of(teacher, batch.inputs, "classification", hidden=True)
    with torch.autocast("cpu", torch.float16, enabled=precision == "fp16"):
        student_says, teacher_says = loss.outputs(student, batch, {})
    assert teacher_says.logits.dtype == dtype
    assert student_says.logits.dtype == (torch.float16 if precision == "fp16" else torch.float32)
    near = {"rtol": 0.0, "atol": 1e-6 if precision == "fp32" else 0.1}
    torch.testing.assert_close(teacher_says.logits.float(), expected.logits, **near)
    for ours, theirs in zip(teacher_says.hidden, expected.hidden, strict=True):
        torch.testing.assert_close(ours.float(), theirs, **near)


@pytest.mark.parametrize("kind", ["classification", "tokens"])
def test_an_ensemble_and_a_student_of_fp16_learn_together(kind: Any) -> None:
    student = model_for(kind, seed=1)
    both = Ensemble([model_for(kind), model_for(kind, seed=2)], kind)
    task = Task(kind=kind, labels=LABELS[kind])
    encoded = encode_examples(examples(kind), tiny_tokenizer("bert"), kind, 32)
    loss = Distillation((SoftTargets(),), student, both, task, precision="fp16")
    fitted = fit(student, encoded, loss, replace(FAST, precision="fp16"))
    assert fitted.losses[-1] < fitted.losses[0]
