"""Objectives outside of our loop: in a plain one, and in transformers' Trainer in both its ways."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from train.toy import TEXTS

from leanformer.distill.distillation import outputs_of
from leanformer.distill.objective import Objective, dims_of
from leanformer.distill.objectives import AttentionScores, Embeddings, Relations, SoftTargets
from leanformer.distill.objectives.jensen_shannon import jensen_shannon
from leanformer.models.tiny import tiny_model


def pair(**settings: Any) -> tuple[Any, Any, Any]:
    """A student of two layers, its teacher, and the tokenizer of both."""
    teacher, tokenizer = tiny_model("bert", num_labels=2)
    student, _ = tiny_model("bert", num_labels=2, seed=1, num_hidden_layers=2, **settings)
    return student, teacher, tokenizer


def test_objectives_with_attention_and_projections_serve_in_a_plain_loop() -> None:
    student, teacher, tokenizer = pair(hidden_size=16, num_attention_heads=2)
    objectives: tuple[Objective, ...] = (
        Relations(relation_heads=4),
        AttentionScores(heads="mean", weight=0.1),
        Embeddings(weight=0.1),
    )
    torch.manual_seed(0)
    modules = nn.ModuleList([one.build(dims_of(student), dims_of(teacher)) for one in objectives])
    inputs = dict(tokenizer(TEXTS[:6], padding=True, return_tensors="pt"))
    # an objective may hold a projection, which is trained beside the student
    optimizer = torch.optim.AdamW([*student.parameters(), *modules.parameters()], lr=3e-3)
    losses = []
    for _ in range(30):
        with torch.no_grad():
            theirs = outputs_of(teacher, inputs, "classification", hidden=True, attention=True)
        ours = outputs_of(student, inputs, "classification", hidden=True, attention=True)
        parts = [
            objective.weight * module(ours, theirs, None)
            for objective, module in zip(objectives, modules, strict=True)
        ]
        sum(parts).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append([part.item() for part in parts])
    assert all(last < 0.8 * first for first, last in zip(losses[0], losses[-1], strict=True))


def arguments(folder: Path) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder), num_train_epochs=6, learning_rate=3e-3, logging_steps=1,
        report_to=[], use_cpu=True, disable_tqdm=True, save_strategy="no",
    )  # fmt: skip


def curve(trainer: Any) -> list[float]:
    """The loss of each step."""
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def test_an_objective_serves_in_a_trainer_whose_loss_is_one_call(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    from transformers import Trainer

    student, teacher, tokenizer = pair()
    sizes = dims_of(student), dims_of(teacher)
    scores, soft = AttentionScores().build(*sizes), SoftTargets(temperature=2.0).build(*sizes)

    class Distiller(Trainer):
        def compute_loss(
            self, model: nn.Module, inputs: Any, return_outputs: bool = False, **_: Any
        ) -> Any:
            with torch.no_grad():
                theirs = outputs_of(teacher, inputs, "classification", attention=True)
            ours = outputs_of(model, inputs, "classification", attention=True)
            loss = soft(ours, theirs, None) + 0.1 * scores(ours, theirs, None)
            return (loss, {"logits": ours.logits}) if return_outputs else loss

    rows = [dict(tokenizer(text, padding="max_length", max_length=16)) for text in TEXTS]
    losses = curve(Distiller(model=student, args=arguments(tmp_path), train_dataset=rows))
    assert losses[-1] < 0.8 * losses[0]


def test_an_equation_serves_as_the_loss_function_of_a_trainer(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers' Trainer needs accelerate")
    from transformers import Trainer

    student, teacher, tokenizer = pair()
    encoded = tokenizer(TEXTS, padding="max_length", max_length=16, return_tensors="pt")
    with torch.no_grad():
        answers = teacher(**encoded).logits
    rows = [
        {**{key: encoded[key][index] for key in encoded}, "labels": answers[index]}
        for index in range(len(TEXTS))
    ]

    def compare(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        return jensen_shannon(outputs.logits, labels, temperature=2.0)

    losses = curve(
        Trainer(
            model=student, args=arguments(tmp_path), train_dataset=rows, compute_loss_func=compare
        )
    )
    assert losses[-1] < 0.8 * losses[0]
