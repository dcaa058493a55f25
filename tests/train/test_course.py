"""Trainings whose numbers are not finite end before a weight moves, and leave a good checkpoint."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from train.toy import FAST, toy
from train.two_terms import same

from leanformer.data import Batch
from leanformer.train import Progress, Supervised, Term, fit
from leanformer.train.batches import ShuffledBatches
from leanformer.train.course import Course
from leanformer.train.execution import OneDevice
from leanformer.train.loss import Carry

QUALITY = "the quality on the development split was NaN in all 3 evaluations"


class Poisoned(Supervised):
    """Its loss is finite, and at one step the gradient that arrives at the head is not."""

    def __init__(self, at: int, factor: float = math.nan) -> None:
        super().__init__("classification")
        self.at, self.factor, self.step = at, factor, 0

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Tensor:
        self.step += 1
        logits = super().outputs(model, batch, carry)
        if self.step == self.at:
            logits.register_hook(lambda slope: slope * self.factor)
        return logits


def saved(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("clip", [1.0, 0.0])
@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_ends_the_training_before_a_weight_moves(
    tmp_path: Path, clip: float, factor: float
) -> None:
    setup, kept = replace(FAST, max_grad_norm=clip), {}
    model, encoded = toy()

    def keep(model: nn.Module, progress: Progress) -> None:
        kept.update({name: tensor.clone() for name, tensor in model.state_dict().items()})

    with pytest.raises(ValueError, match=r"step 4: the norm of the gradient is nan, by") as raised:
        fit(model, encoded, Poisoned(4, factor), setup, folder=tmp_path / "c", hooks=[keep])
    assert same(model.state_dict(), kept)
    assert same(saved(tmp_path / "c"), kept)
    message = str(raised.value)
    assert "by bert.embeddings.word_embeddings.weight, bert.embeddings" in message
    assert " more; lower learning_rate (0.002) or " in message
    assert ("lower max_grad_norm (1)" if clip else "set max_grad_norm = 1") in message
    assert "precision" not in message  # it is fp32 already
    assert f"The last checkpoint, {tmp_path / 'c'}, goes on with the same settings" in message


def test_after_it_the_checkpoint_goes_on_where_the_gradient_is_sound(tmp_path: Path) -> None:
    """And what the message says of other settings is so."""
    whole = fit(*toy(), Poisoned(0), FAST)
    with pytest.raises(ValueError, match="the norm of the gradient"):
        fit(*toy(), Poisoned(4), FAST, folder=tmp_path / "c")
    with pytest.raises(ValueError, match=r"differs in setup.optimizer.learning_rate"):
        fit(*toy(), Poisoned(0), replace(FAST, learning_rate=1e-3), folder=tmp_path / "c")
    assert fit(*toy(), Poisoned(0), FAST, folder=tmp_path / "c").losses == whole.losses


def test_the_first_parameters_are_named_those_of_the_loss_too() -> None:
    class Own(Supervised):
        def __init__(self) -> None:
            super().__init__("classification")
            self.bias = nn.Parameter(torch.zeros(2))

        def terms(self, outputs: Any, batch: Batch) -> list[Term]:
            self.bias.register_hook(lambda slope: slope * math.inf)
            return super().terms(outputs + self.bias, batch)

    with pytest.raises(
        ValueError, match=r"step 1: the norm of the gradient is .*, by loss.bias; lower learn"
    ):
        fit(*toy(), Own(), FAST)


def test_weights_that_are_not_finite_are_neither_saved_nor_judged_nor_the_end(
    tmp_path: Path,
) -> None:
    class Throws(OneDevice):
        def step(self, factor: float) -> bool:
            moved = super().step(factor)
            with torch.no_grad():
                self.parameters[-1][0] = math.inf
            return moved

    match = r"after step 1: the weights are not finite, in classifier.bias; lower learning_rate"
    judged: list[float] = []

    def evaluate(model: nn.Module) -> float:
        judged.append(1.0)
        return 1.0

    loss, once = Supervised("classification"), replace(FAST, steps=1, checkpoint_seconds=60.0)
    with pytest.raises(ValueError, match=match):
        fit(*toy(), loss, FAST, folder=tmp_path / "c", execute=Throws)
    assert not (tmp_path / "c").exists()
    with pytest.raises(ValueError, match=match):
        fit(*toy(), loss, once, evaluate=evaluate, execute=Throws)
    assert judged == []
    with pytest.raises(ValueError, match=match):
        fit(*toy(), loss, once, execute=Throws)


def test_an_evaluation_without_a_number_is_never_the_best(tmp_path: Path) -> None:
    said: Iterator[float]

    def evaluate(model: nn.Module) -> float:
        return next(said)

    loss = Supervised("classification")
    said = iter([math.nan, 0.5, math.nan])
    fitted = fit(*toy(), loss, FAST, evaluate=evaluate, folder=tmp_path / "c")
    assert fitted.best == 0.5
    assert [math.isnan(quality) for _, quality in fitted.qualities] == [True, False, True]
    again = fit(*toy(), loss, FAST, evaluate=evaluate, folder=tmp_path / "c")
    assert (again.best, again.losses) == (0.5, fitted.losses)
    said = iter([math.nan] * 3)
    with pytest.raises(ValueError, match=QUALITY):
        fit(*toy(), loss, FAST, evaluate=evaluate)
    said = iter([math.nan] * 3)
    assert fit(*toy(), loss, FAST, evaluate=evaluate, keep_best=False).best is None


def small_scale(monkeypatch: pytest.MonkeyPatch, start: float, interval: int) -> list[float]:
    """Let the loss scale begin at `start` and double after `interval` steps; the scales of steps."""
    seen: list[float] = []
    made = OneDevice.__init__

    def built(self: Any, *arguments: Any) -> None:
        made(self, *arguments)
        scaler = torch.amp.GradScaler("cpu", init_scale=start, growth_interval=interval)
        self.precision.scaler = scaler
        before = self.step

        def step(factor: float) -> bool:
            seen.append(scaler.get_scale())
            moved: bool = before(factor)
            return moved

        self.step = step

    monkeypatch.setattr(OneDevice, "__init__", built)
    return seen


FP16 = replace(FAST, precision="fp16", epochs=4)


def killer(step: int) -> Callable[[nn.Module, Progress], None]:
    def hook(model: nn.Module, progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return hook


@pytest.mark.parametrize("kill", [1, 3, 6, 10])
def test_the_loss_scale_and_its_growth_go_on_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: int
) -> None:
    """The scale grows every third step, and halves where a gradient overflows at it."""
    scales = small_scale(monkeypatch, 2.0**17, 3)
    whole_model, encoded = toy()
    whole = fit(whole_model, encoded, Supervised("classification"), FP16)
    expected = scales.copy()
    assert any(one < other for one, other in pairwise(expected))
    assert any(one > other for one, other in pairwise(expected))
    assert 0 < whole.left_out < whole.steps == len(expected)
    scales.clear()
    with pytest.raises(KeyboardInterrupt):
        loss = Supervised("classification")
        fit(*toy(), loss, FP16, folder=tmp_path / "c", hooks=[killer(kill)])
    model, encoded = toy()
    resumed = fit(model, encoded, Supervised("classification"), FP16, folder=tmp_path / "c")
    assert scales == [*expected[:kill], *expected[kill - 1 :]]  # the killed step is done again
    assert resumed == whole
    assert same(model.state_dict(), whole_model.state_dict())


def test_a_step_that_is_left_out_moves_nothing_and_data_and_schedule_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights, rates, steps = [], [], []
    model, encoded = toy()

    def note(model: Any, progress: Progress) -> None:
        weights.append(model.classifier.weight.detach().clone())
        steps.append(progress.step)

    class Notes(OneDevice):
        def step(self, factor: float) -> bool:
            rates.append(factor)
            return super().step(factor)

    one = replace(FAST, precision="fp16")
    loss = Poisoned(3, math.inf)
    fitted = fit(model, encoded, loss, one, hooks=[note], execute=Notes)
    assert steps == list(range(1, 13))
    assert rates == [one.schedule.factor(step, 12) for step in range(12)]
    assert fitted.left_out >= 1
    assert torch.equal(weights[2], weights[1])
    assert not torch.equal(weights[-1], weights[2])
    assert len(fitted.losses) == fitted.steps == 12


class Endless(Supervised):
    """Gradients without end in every step, as a NaN in the backward pass gives them."""

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Tensor:
        logits = super().outputs(model, batch, carry)
        logits.register_hook(lambda slope: slope * math.nan)
        return logits


def test_fp16_that_always_overflows_ends_the_training(tmp_path: Path) -> None:
    setup = replace(FAST, precision="fp16", epochs=20)
    match = (
        r"step 31: the gradients overflow fp16 even where the loss is scaled by 3.05176e-05, in "
        r"bert.embeddings.word_embeddings.weight, .* more; lower learning_rate \(0.002\), lower "
        r"max_grad_norm \(1\) or set precision = 'fp32'"
    )
    with pytest.raises(ValueError, match=match):
        fit(*toy(), Endless("classification"), setup, folder=tmp_path / "c")
    assert all(tensor.isfinite().all() for tensor in saved(tmp_path / "c").values())
    with pytest.raises(ValueError, match="the gradients overflow fp16 even where"):
        fit(*toy(), Endless("classification"), setup, folder=tmp_path / "c")  # it went on, one step
    with pytest.raises(ValueError, match="the gradients overflowed fp16 in all 12 steps; lower"):
        fit(*toy(), Endless("classification"), replace(setup, epochs=3))


def test_a_course_counts_what_it_left_out() -> None:
    model, encoded = toy()
    loss, setup = Endless("classification"), replace(FAST, precision="fp16")
    batches = ShuffledBatches(encoded, batch_size=4, max_tokens=999, seed=0)
    course = Course(model, batches, setup, OneDevice(model, loss, setup), None)
    for _ in range(3):
        course.optimize()
    assert (course.state.step, course.state.left_out) == (3, 3)
