"""Trainings that are evaluated on the way: the best weights are kept, and nothing else changes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from train.toy import FAST, toy

from leanformer.train import Fitted, Progress, Supervised, fit


def scripted(values: list[float]) -> Callable[[nn.Module], float]:
    """An evaluation that gives these qualities, and uses up randomness."""
    left = iter(values)

    def evaluate(model: nn.Module) -> float:
        torch.rand(7)
        return next(left)

    return evaluate


def test_the_best_weights_are_restored() -> None:
    model, encoded = toy()
    seen: dict[int, Tensor] = {}

    def keep(model: Any, progress: Progress) -> None:
        seen[progress.step] = model.classifier.weight.detach().clone()

    setup = replace(FAST, evaluations=6)
    qualities = [0.1, 0.5, 0.9, 0.9, 0.2, 0.3]
    fitted = fit(
        model,
        encoded,
        Supervised("classification"),
        setup,
        evaluate=scripted(qualities),
        hooks=[keep],
    )
    assert (fitted.best, fitted.steps) == (0.9, 12)
    assert fitted.qualities == list(zip([2, 4, 6, 8, 10, 12], qualities, strict=True))
    assert torch.equal(model.classifier.weight, seen[6])
    assert not torch.equal(seen[6], seen[12])


def test_the_last_weights_stay_where_no_evaluation_may_choose() -> None:
    kept = []
    for evaluate in (None, scripted([0.9, 0.5, 0.1])):
        model, encoded = toy()
        loss = Supervised("classification")
        fitted = fit(model, encoded, loss, FAST, evaluate=evaluate, keep_best=False)
        kept.append(model.classifier.weight.detach().clone())
    assert [quality for _, quality in fitted.qualities] == [0.9, 0.5, 0.1]
    assert torch.equal(*kept)


def test_an_evaluation_changes_nothing_of_what_follows() -> None:
    losses = []
    for evaluate in (None, scripted([0.0] * 3)):
        model, encoded = toy()
        losses.append(
            fit(model, encoded, Supervised("classification"), FAST, evaluate=evaluate).losses
        )
    assert losses[0] == losses[1]


def test_patience_stops_early(tmp_path: Path) -> None:
    setup = replace(FAST, evaluations=12, early_stopping_patience=2)

    def run(folder: Path | None) -> Fitted:
        model, encoded = toy()
        evaluate = scripted([0.1, 0.4, 0.3, 0.4, 0.9])
        loss = Supervised("classification")
        return fit(model, encoded, loss, setup, evaluate=evaluate, folder=folder)

    fitted = run(tmp_path / "c")
    assert (fitted.steps, fitted.best, len(fitted.losses)) == (4, 0.4, 4)
    assert run(tmp_path / "c") == fitted  # the stop is remembered
