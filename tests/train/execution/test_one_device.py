import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from train.toy import FAST, toy
from train.two_terms import TwoTerms, same

from leanformer.train import Loss, Supervised, TrainSetup, fit
from leanformer.train.execution import OneDevice
from leanformer.train.loss import Carry, Counts

STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def made(setup: TrainSetup = FAST, loss: Loss | None = None) -> tuple[OneDevice, Any, Any]:
    model, encoded = toy(**STILL)
    model = model.double()
    return OneDevice(model, loss or TwoTerms().double(), setup), model, encoded


def slopes(model: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_gradients_of_parts_are_those_of_the_mean_over_the_whole() -> None:
    execution, model, encoded = made()
    parts = [encoded.batch(part) for part in ([0, 7], [15], [3, 4, 5])]
    value, carry = execution.forward_backward(parts, {})
    expected = TwoTerms().double().mean(model, encoded.batch([0, 7, 15, 3, 4, 5]))
    found = slopes(model)
    model.zero_grad()
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-6)
    assert carry == {}
    for ours, theirs in zip(found, slopes(model), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-9)


def test_a_step_clips_by_the_global_norm_and_clears_the_gradients() -> None:
    seen: list[Tensor] = []

    def keep(optimizer: Any, args: Any, kwargs: Any) -> None:
        seen.extend(p.grad.clone() for group in optimizer.param_groups for p in group["params"])

    for most in (0.0, 1e-3, 1e9):
        execution, model, encoded = made(replace(FAST, max_grad_norm=most))
        execution.forward_backward([encoded.batch([0, 1])], {})
        before = torch.cat([p.grad.flatten() for p in execution.parameters]).norm()  # type: ignore[union-attr]
        seen.clear()
        handle = register_optimizer_step_pre_hook(keep)
        try:
            execution.step(1.0)
        finally:
            handle.remove()
        after = torch.cat([slope.flatten() for slope in seen]).norm()
        torch.testing.assert_close(
            after, before if most in (0, 1e9) else torch.tensor(most).double()
        )
        assert slopes(model) == []


def test_norms_are_those_of_each_tensor() -> None:
    execution, _, _ = made()
    assert [float(n) for n in execution.norms([torch.tensor([3.0, 4.0]), torch.ones(2, 2)])] == [
        5,
        2,
    ]


@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_a_step_is_at_a_share_of_the_peak_rate(factor: float) -> None:
    execution, _, encoded = made()
    execution.forward_backward([encoded.batch([0, 1])], {})
    execution.step(factor)
    rates = {group["lr"] for group in execution.optimizer.param_groups}
    assert rates == {2e-3 * factor}


def test_counts_are_taken_over_all_that_the_execution_sees() -> None:
    """As if another process saw as much: gradients are halved."""

    class Twice(OneDevice):
        def total(self, counts: Counts) -> Counts:
            return {unit: 2 * number for unit, number in counts.items()}

    (model, encoded), (other, _) = toy(**STILL), toy(**STILL)
    loss = Supervised("classification")
    batch = encoded.batch([0, 3, 5])
    whole, _ = OneDevice(model, loss, FAST).forward_backward([batch], {})
    half, _ = Twice(other, loss, FAST).forward_backward([batch], {})
    assert half == pytest.approx(whole / 2, rel=1e-6)
    for ours, theirs in zip(slopes(other), slopes(model), strict=True):
        torch.testing.assert_close(2 * ours, theirs)


def test_the_loss_of_a_step_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reading of a number would wait for a GPU."""
    execution, _, encoded = made()
    read: list[str] = []
    for name in ("item", "tolist", "__float__", "__int__"):
        real = getattr(Tensor, name)

        def noted(tensor: Tensor, name: str = name, real: Any = real) -> Any:
            read.append(name)
            return real(tensor)

        monkeypatch.setattr(Tensor, name, noted)
    parts = [encoded.batch(part) for part in ([0, 7], [15], [3, 4, 5])]
    execution.forward_backward(parts, {})
    assert read == ["tolist"]


def test_a_loss_that_is_not_additive_never_gets_a_batch_in_parts() -> None:
    execution, _, encoded = made()
    execution.loss.additive = False
    with pytest.raises(AssertionError, match="not additive"):
        execution.forward_backward([encoded.batch([0]), encoded.batch([1])], {})


def test_decisions_and_writing_are_this_process_own() -> None:
    execution, model, _ = made()
    assert execution.writes
    assert [execution.decide(value) for value in (True, 0.5)] == [True, 0.5]
    kept = execution.weights()
    assert same(kept, model.state_dict())
    with torch.no_grad():
        model.classifier.weight.zero_()
    assert kept["classifier.weight"].abs().sum() > 0


def test_its_state_goes_on_in_another_one() -> None:
    def train(execution: OneDevice, encoded: Any, steps: range) -> list[float]:
        found = []
        for step in steps:
            value, _ = execution.forward_backward([encoded.batch([step, step + 1])], {})
            execution.step(1.0)
            found.append(value)
        return found

    execution, model, encoded = made()
    train(execution, encoded, range(3))
    groups, values = execution.state()
    groups = {name: {k: t.clone() for k, t in g.items()} for name, g in groups.items()}
    expected = train(execution, encoded, range(3, 6))
    drawn = torch.rand(3)
    again, other, _ = made()
    again.restore(groups, values, Path("checkpoint"))
    assert train(again, encoded, range(3, 6)) == expected
    assert same(other.state_dict(), model.state_dict())
    assert torch.equal(torch.rand(3), drawn)


def test_whoever_executes_decides_when_a_training_stops_and_who_writes(tmp_path: Any) -> None:
    class Reader(OneDevice):
        """One of several processes: it does not write, and is told to stop after one evaluation."""

        writes = False

        def decide(self, value: Any) -> Any:
            return len(told) > 0 if isinstance(value, bool) else value

    told: list[float] = []

    def evaluate(model: nn.Module) -> float:
        told.append(0.5)
        return 0.5

    model, encoded = toy()
    loss = Supervised("classification")
    fitted = fit(
        model, encoded, loss, FAST, evaluate=evaluate, folder=tmp_path / "c", execute=Reader
    )
    assert (fitted.steps, fitted.best) == (4, 0.5)
    assert not (tmp_path / "c").exists()


class Looks(Supervised):
    """Notes where batches are, and that chance came before the batch moved."""

    def transform_batch(self, batch: Any) -> Any:
        self.before = batch.inputs["input_ids"].device
        return super().transform_batch(batch)

    def outputs(self, model: nn.Module, batch: Any, carry: Carry) -> Any:
        self.after = batch.inputs["input_ids"].device
        return super().outputs(model, batch, carry)


def test_a_batch_is_transformed_and_counted_before_it_goes_to_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execution, _, encoded = made(loss=Looks("classification"))
    order: list[str] = []
    batch = encoded.batch([0, 1])
    for name in ("transform_batch", "counts"):
        real = getattr(execution.loss, name)
        monkeypatch.setattr(
            execution.loss, name, lambda b, name=name, real=real: (order.append(name), real(b))[1]
        )
    moved = type(batch).to
    monkeypatch.setattr(type(batch), "to", lambda b, d: (order.append("to"), moved(b, d))[1])
    execution.forward_backward([batch], {})
    assert order == ["transform_batch", "counts", "to"]
    assert execution.loss.before == execution.loss.after == torch.device("cpu")


def test_the_loss_scale_goes_on_from_a_checkpoint_and_the_batch_may_pass_in_parts() -> None:
    def scaled(steps: range, before: Any = None) -> tuple[OneDevice, list[float]]:
        model, encoded = toy(**STILL)
        execution = OneDevice(model, Supervised("classification"), replace(FAST, precision="fp16"))
        if before is not None:
            execution.restore(*before, Path("checkpoint"))
        found = []
        for step in steps:
            parts = [encoded.batch([step]), encoded.batch([step + 1, step + 2])]
            execution.forward_backward(parts, {})
            if step == 1:
                execution.parameters[0].grad.fill_(torch.inf)  # type: ignore[union-attr]
            assert execution.step(1.0) == (step != 1)
            found.append(execution.precision.scaler.get_scale())
        return execution, found

    execution, scales = scaled(range(3))
    assert scales == [65536.0, 32768.0, 32768.0]
    groups, values = execution.state()
    groups = {name: {k: t.clone() for k, t in g.items()} for name, g in groups.items()}
    again, more = scaled(range(3, 4), (groups, json.loads(json.dumps(values))))
    assert more == [32768.0]
    whole, _ = scaled(range(4))
    assert same(again.model.state_dict(), whole.model.state_dict())
