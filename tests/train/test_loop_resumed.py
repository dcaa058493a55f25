"""Trainings that were stopped: they go on, and what does not belong to them is refused."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from train.toy import FAST, toy
from train.two_terms import same, trained

from leanformer.train import Progress, Supervised, fit


def killer(step: int) -> Callable[[nn.Module, Progress], None]:
    def hook(model: nn.Module, progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return hook


@pytest.mark.parametrize(
    ("kill", "precision"), [(1, "fp32"), (4, "fp32"), (11, "fp32"), (5, "bf16"), (5, "fp16")]
)
def test_a_training_that_was_killed_ends_like_one_that_was_not(
    tmp_path: Path, kill: int, precision: Any
) -> None:
    setup = replace(FAST, precision=precision, evaluations=5)
    whole = trained(setup, seed=1)
    with pytest.raises(KeyboardInterrupt):
        trained(setup, seed=1, folder=tmp_path / "c", hooks=[killer(kill)])
    resumed = trained(setup, seed=1, folder=tmp_path / "c")
    assert resumed[0] == whole[0]
    assert same(resumed[1], whole[1])
    again = trained(setup, seed=1, folder=tmp_path / "c", hooks=[killer(12)])
    assert again[0] == whole[0]  # finished: nothing is trained any more


def test_a_resumed_training_does_not_begin_anew(tmp_path: Path) -> None:
    steps: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        trained(folder=tmp_path / "c", hooks=[killer(7)])
    trained(folder=tmp_path / "c", hooks=[lambda model, progress: steps.append(progress.step)])
    assert steps == list(range(7, 13))


SCRIPT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
torch.set_num_threads(1)
from train.toy import FAST, toy
from leanformer.train import Supervised, fit

def hook(model, progress):
    if progress.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)

model, encoded = toy()
fit(model, encoded, Supervised("classification"), FAST, folder=Path(sys.argv[2]), hooks=[hook])
"""


def test_a_killed_process_is_resumed_by_another(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1]), str(tmp_path / "c")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    steps: list[int] = []
    results = []
    for folder in (tmp_path / "c", None):
        model, encoded = toy()
        hooks = [lambda model, progress: steps.append(progress.step)]
        loss = Supervised("classification")
        fitted = fit(model, encoded, loss, FAST, folder=folder, hooks=hooks)
        results.append(fitted)
    assert steps == [*range(6, 13), *range(1, 13)]
    # Two processes lay their tensors out differently, and matrix products may then round the last
    # bit differently, which Adam blows up where a gradient is nearly zero. Within one process the
    # tests above demand losses and weights equal bit for bit.
    assert results[0].losses == pytest.approx(results[1].losses, rel=1e-4)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    trained(folder=tmp_path / "c", seed=0)
    with pytest.raises(ValueError, match=r"differs in setup.epochs \(3 → 2\); remove"):
        trained(replace(FAST, epochs=2), folder=tmp_path / "c")
    with pytest.raises(
        ValueError, match=r"differs in setup.optimizer.learning_rate \(0.002 → 1e-05\)"
    ):
        trained(replace(FAST, learning_rate=1e-5), folder=tmp_path / "c")
    with pytest.raises(ValueError, match=r"differs in seed \(0 → 9\)"):
        trained(seed=9, folder=tmp_path / "c")


@pytest.mark.parametrize("at", [1, 5, 11])
def test_a_training_that_was_asked_to_stop_goes_on_as_if_it_had_not(
    tmp_path: Path, at: int
) -> None:
    setup = replace(FAST, evaluations=5, checkpoint_seconds=1e6)
    whole = trained(setup, seed=1)
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == at

    half, _ = trained(setup, seed=1, folder=tmp_path / "c", stop=stop)
    assert (half.steps, half.stopped) == (at, True)
    steps: list[int] = []
    note = [lambda model, progress: steps.append(progress.step)]
    rest = trained(setup, seed=1, folder=tmp_path / "c", stop=lambda: False, hooks=note)
    assert steps == list(range(at + 1, 13))
    assert rest[0] == whole[0]
    assert same(rest[1], whole[1])


def test_a_wish_to_stop_at_the_last_step_ends_a_training_as_any_other(tmp_path: Path) -> None:
    setup = replace(FAST, steps=2, checkpoint_seconds=1e6)
    fitted, _ = trained(setup, folder=tmp_path / "c", stop=lambda: True)
    assert (fitted.steps, fitted.stopped) == (1, True)
    fitted, _ = trained(setup, folder=tmp_path / "c", stop=lambda: True)
    assert (fitted.steps, fitted.stopped) == (2, False)
    steps: list[int] = []
    note = [lambda model, progress: steps.append(progress.step)]
    again, _ = trained(setup, folder=tmp_path / "c", stop=lambda: True, hooks=note)
    assert again == fitted  # its last step has a checkpoint
    assert steps == []
