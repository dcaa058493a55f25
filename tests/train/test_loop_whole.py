"""Losses that need the whole batch, and losses that hand something on to the next step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from train.in_batch_negatives import InBatchNegatives
from train.toy import FAST, toy
from train.two_terms import same

from leanformer.data import Batch, Encoded
from leanformer.train import Progress, Supervised, Term, fit
from leanformer.train.batches import ShuffledBatches
from leanformer.train.loss import Carry

STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def test_a_batch_that_would_be_split_is_refused_before_a_weight_changes() -> None:
    model, encoded = toy()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    setup = replace(FAST, batch_size=8, max_tokens_per_microbatch=24)
    with pytest.raises(
        ValueError,
        match=r"max_tokens_per_microbatch: batches may be split, and InBatchNegatives compares the "
        r"examples of a batch with each other.*; set it to (\d+), or lower batch_size",
    ) as refused:
        fit(model, encoded, InBatchNegatives(), setup)
    assert same(model.state_dict(), before)
    remedy = int(str(refused.value).split("set it to ")[1].split(",")[0])
    fit(model, encoded, InBatchNegatives(), replace(setup, max_tokens_per_microbatch=remedy))
    with pytest.raises(ValueError, match="max_tokens_per_microbatch"):
        fit(
            model, encoded, InBatchNegatives(), replace(setup, max_tokens_per_microbatch=remedy - 1)
        )


def test_a_batch_that_is_whole_gives_the_loss_of_the_whole() -> None:
    model, encoded = toy(**STILL)
    part = encoded.batch(list(range(16)))
    expected = InBatchNegatives().mean(model.train(), part).item()
    fitted = fit(model, encoded, InBatchNegatives(), replace(FAST, batch_size=16, steps=3))
    assert fitted.losses[0] == pytest.approx(expected, rel=1e-5)
    assert fitted.losses[-1] < fitted.losses[0]


class Lanes(ShuffledBatches):
    """Every step has the same texts, each in a lane of its own; a lane begins anew at each 4th."""

    def at(self, step: int) -> list[Batch]:
        parts = super().at(0)
        return [
            replace(
                part,
                lanes=torch.tensor(part.index),
                begins=torch.full((len(part.index),), step % 4 == 0),
            )
            for part in parts
        ]


class Remembers(Supervised):
    """Logits lean on the logits that the same lane had a step before."""

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Any:
        logits: Tensor = super().outputs(model, batch, {})
        assert batch.lanes is not None
        assert batch.begins is not None
        memory = carry["memory"][batch.lanes] if carry else torch.zeros_like(logits)
        assert not memory.requires_grad
        return logits, memory.masked_fill(batch.begins.unsqueeze(1), 0.0)

    def terms(self, outputs: Any, batch: Batch) -> list[Term]:
        logits, memory = outputs
        return super().terms(logits + 0.5 * memory, batch)

    def next_carry(self, outputs: Any, batch: Batch, carry: Carry) -> Carry:
        logits, _ = outputs
        assert batch.lanes is not None
        memory = carry["memory"] if carry else logits.new_zeros(16, logits.shape[-1])
        return {"memory": memory.index_copy(0, batch.lanes, logits)}


def lanes(encoded: Encoded, budget: int) -> Lanes:
    return Lanes(encoded, batch_size=16, max_tokens=budget, seed=0)


def test_what_a_step_hands_on_does_not_depend_on_the_parts_of_its_batch() -> None:
    results = []
    for budget in (1, 40, 10**6):
        model, encoded = toy(**STILL)
        loss = Remembers("classification")
        results.append(fit(model.double(), lanes(encoded, budget), loss, FAST).losses)
    assert results[0] == pytest.approx(results[2], rel=1e-6)
    assert results[1] == pytest.approx(results[2], rel=1e-6)
    model, encoded = toy(**STILL)
    plain = fit(model.double(), lanes(encoded, 40), Supervised("classification"), FAST).losses
    assert plain[0] == pytest.approx(results[1][0], rel=1e-6)
    assert plain[1] != pytest.approx(results[1][1], rel=1e-3)


@pytest.mark.parametrize("kill", [1, 2])
def test_what_a_step_hands_on_is_in_the_checkpoint(tmp_path: Path, kill: int) -> None:
    def stop(model: nn.Module, progress: Progress) -> None:
        if progress.step == kill + 1:
            raise KeyboardInterrupt

    def run(folder: Path | None = None, hooks: Any = ()) -> Any:
        model, encoded = toy()
        loss = Remembers("classification")
        return fit(model, lanes(encoded, 40), loss, FAST, folder=folder, hooks=hooks)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "c", [stop])
    assert run(tmp_path / "c") == run()
