from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import nn
from train.toy import FAST, toy
from train.two_terms import same

from leanformer.models.tied import cpu_state
from leanformer.train import Fitted, Supervised, fit
from leanformer.train.memory import OffloadOptimizer
from leanformer.train.memory.host_optimizer import HostOptimizer

LOSS = Supervised("classification")


def trained(memory: tuple[Any, ...], folder: Path | None = None, hooks: Any = ()) -> Any:
    model, encoded = toy(num_hidden_layers=1)
    model.to(shadow())
    setup = replace(FAST, memory=memory, steps=4)
    done: Fitted = fit(model, encoded, LOSS, setup, folder=folder, hooks=hooks)
    return done.losses, cpu_state(model)


def test_a_training_is_the_resident_one_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    losses, weights = trained(())
    ours, others = trained((OffloadOptimizer(),))
    assert ours == losses
    assert same(others, weights)

    def kill(model: nn.Module, progress: Any) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained((OffloadOptimizer(),), tmp_path / "c", (kill,))
    again, resumed = trained((OffloadOptimizer(),), tmp_path / "c")
    assert again == losses
    assert same(resumed, weights)


def test_a_training_on_the_cpu_gains_nothing() -> None:
    model, encoded = toy()
    setup = replace(FAST, memory=(OffloadOptimizer(),))
    with pytest.raises(ValueError, match="the model is on the CPU, and so is its optimizer"):
        fit(model, encoded, LOSS, setup)


def test_weights_that_are_shared_out_are_refused() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    assert isinstance(OffloadOptimizer().optimizer(optimizer), HostOptimizer)
    weight.placements = ()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="the weights are shared out among ranks"):
        OffloadOptimizer().optimizer(torch.optim.SGD([weight], lr=1.0))
