from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from train.toy import FAST, toy

from leanformer.train import Supervised, fit
from leanformer.train.optimizers.interface import grouped
from leanformer.train.scheduled_module import (
    ScheduledModule,
    lr_scale,
    penalties,
    scheduled_modules,
    set_lr_scale,
)


class Counter(ScheduledModule):
    """Notes where it was told that the training is, and asks for small scores."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []
        self.scores = nn.Parameter(torch.ones(3, 3))
        set_lr_scale(self.scores, 10.0)

    def update(self, step: int, steps: int) -> None:
        self.seen.append((step, steps))

    def penalty(self) -> Tensor | None:
        return self.scores.square().sum()


class Silent(ScheduledModule):
    """Follows and asks for nothing."""

    def update(self, step: int, steps: int) -> None:
        pass


def test_a_part_is_told_of_every_step_and_of_a_resumed_one(tmp_path: Path) -> None:
    model, encoded = toy()
    model.add_module("counter", Counter())

    def stop(model: nn.Module, progress: object) -> None:
        if progress.step == 5:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    loss = Supervised("classification")
    with pytest.raises(KeyboardInterrupt):
        fit(model, encoded, loss, FAST, folder=tmp_path, hooks=[stop])
    assert model.counter.seen == [(step, 12) for step in range(6)]
    again, _ = toy()
    again.add_module("counter", Counter())
    fit(again, encoded, loss, FAST, folder=tmp_path)
    assert again.counter.seen == [(step, 12) for step in range(4, 13)]


def test_a_penalty_is_part_of_the_loss_however_the_batch_is_cut() -> None:
    ends = []
    for max_tokens_per_microbatch in (1, 10**6):
        model, encoded = toy(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        model.add_module("counter", Counter())
        setup = replace(FAST, max_tokens_per_microbatch=max_tokens_per_microbatch, epochs=1)
        fitted = fit(model.double(), encoded, Supervised("classification"), setup)
        assert fitted.losses[0] > 9
        ends.append(model.counter.scores.detach())
    assert (ends[0] < 1).all()
    torch.testing.assert_close(*ends)


def test_a_rate_of_its_own_has_no_weight_decay() -> None:
    model, _ = toy()
    model.add_module("counter", Counter())
    (group,) = [group for group in grouped([model]) if group.rate == 10.0]
    assert [id(p) for _, p in group.parameters] == [id(model.counter.scores)]
    assert not group.decays
    assert lr_scale(model.counter.scores) == 10.0
    assert lr_scale(model.classifier.weight) is None


def test_nothing_is_added_where_nobody_asks() -> None:
    model = nn.Sequential(Silent(), nn.Linear(1, 1))
    assert len(scheduled_modules(model)) == 1
    assert penalties(scheduled_modules(model)) is None
