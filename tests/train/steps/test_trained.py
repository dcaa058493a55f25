from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from train.toy import FAST, toy

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Task
from leanformer.train.evaluate import make_evaluator
from leanformer.train.loss import Supervised
from leanformer.train.steps.trained import prove_loss_fell, train_and_prove

SETUP = replace(FAST, epochs=6, checkpoint_seconds=60.0)
EXACT = partial(make_evaluator, precision="fp32")  # in bf16 two ways to attend differ
TASK = Task(kind="classification", labels=("music", "rice"))


def run(folder: Path, best: bool, rate: float = 2e-3, needed: bool = True) -> Workspace:
    model, encoded = toy()
    dataset = Dataset(name="toy", task=TASK, train=None, dev=None, test=None)  # type: ignore[arg-type]
    given = Workspace(
        name="toy", model=model, tokenizer=None, dataset=dataset, folder=folder,
        record=Record(folder / "record.jsonl"),
    )  # fmt: skip
    setup = replace(SETUP, learning_rate=rate)
    return train_and_prove(
        given, encoded, Supervised("classification"), setup, EXACT(encoded, TASK),
        max_length=32, load_best_at_end=best, require_improvement=needed,
    )  # fmt: skip


def test_the_best_weights_are_proved_by_their_quality(tmp_path: Path) -> None:
    done = run(tmp_path, True)
    (proof,) = done.proofs
    assert proof.before is not None
    assert proof.after > proof.before
    assert proof.note == "16 texts, 0 cut to 32 tokens"
    model, encoded = toy()
    assert EXACT(encoded, TASK)(done.model) == proof.after
    assert not torch.equal(done.model.classifier.weight, model.classifier.weight)


def test_the_last_weights_are_proved_by_their_loss(tmp_path: Path) -> None:
    quality, loss = run(tmp_path, False).proofs
    assert (quality.claim, loss.claim) == ("accuracy on dev", "training loss")
    assert loss.before is not None
    assert loss.after < loss.before
    assert not (tmp_path / "record.jsonl").exists()  # events tell of evaluations


@pytest.mark.parametrize("best", [True, False])
def test_a_training_without_effect_fails(tmp_path: Path, best: bool) -> None:
    if best:
        with pytest.raises(NoEffect, match="accuracy on dev"):
            run(tmp_path, best, rate=1e-12)
        run(tmp_path / "unneeded", best, rate=1e-12, needed=False)
    else:
        assert not prove_loss_fell([1.0, 1.0]).ok


def test_the_loss_is_compared_at_a_tenth_of_either_end() -> None:
    proof = prove_loss_fell([float(n) for n in range(30, 0, -1)])
    assert (proof.before, proof.after) == (29.0, 2.0)
