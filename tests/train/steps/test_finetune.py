from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from train.toy import FAST, examples

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Task
from leanformer.models.tiny import tiny_model
from leanformer.train.steps.finetune import Finetune

LABELS = {"classification": ("music", "rice"), "regression": (), "tokens": ("O", "rice")}


def workspace(folder: Path, kind: Any = "classification") -> Workspace:
    texts = examples(kind)
    head = "tokens" if kind == "tokens" else "classification"
    task = Task(kind=kind, labels=LABELS.get(kind, ()))
    model, tokenizer = tiny_model("bert", head=head, num_labels=task.outputs)
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="teacher", model=model, tokenizer=tokenizer, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["classification", "regression", "tokens"])
def test_the_model_learns_the_task(tmp_path: Path, kind: Any) -> None:
    step = Finetune(train=replace(FAST, epochs=8, checkpoint_seconds=60.0), max_length=6)
    done = step.apply(workspace(tmp_path, kind))
    (proof,) = done.proofs
    assert proof.before is not None
    assert proof.after > proof.before
    assert proof.after > 0.8
    assert proof.claim == f"{done.dataset.task.metric} on dev"
    assert proof.note == "16 texts, 8 cut to 6 tokens"
    events = read(tmp_path / "record.jsonl")
    assert [event["event"] for event in events] == ["training"] * 8
    assert max(event["dev"] for event in events) == proof.after


def test_a_training_without_effect_fails(tmp_path: Path) -> None:
    with pytest.raises(NoEffect, match=r"accuracy on dev: was 0.\d+ and is 0.\d+"):
        Finetune(train=replace(FAST, learning_rate=1e-12, epochs=1)).apply(workspace(tmp_path))


@pytest.mark.parametrize("dropout", [True, False])
def test_dropout_can_be_left_out(tmp_path: Path, dropout: bool) -> None:
    """Without it the seed of the training decides the order of the texts alone, here of one batch."""
    trained = []
    for seed in (0, 1):
        setup = replace(FAST, epochs=1, batch_size=64)
        given = replace(workspace(tmp_path / str(seed)), seed=seed)
        step = Finetune(
            train=setup, dropout=dropout, load_best_at_end=False, require_improvement=False
        )
        trained.append(step.apply(given).model.state_dict()["classifier.weight"])
    assert torch.allclose(trained[0], trained[1], rtol=1e-4, atol=1e-6) is not dropout


def test_an_embedding_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="an embedding task has no labels; its model is its own"):
        Finetune().apply(workspace(tmp_path, "embedding"))


def test_plain_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the step for it is pretrain"):
        Finetune().apply(workspace(tmp_path, "masked-lm"))
