from typing import Any

import pytest
import torch
from torch import nn
from train.in_batch_negatives import InBatchNegatives
from train.noise.linear_regression import (
    NOISE,
    SIGNAL,
    Drawn,
    HalfSquared,
    penalized,
    regressor,
)
from train.toy import FAST, toy

from leanformer.train import Supervised, fit
from leanformer.train.batches import ShuffledBatches
from leanformer.train.noise import GradientNoise, GradientNoiseHook, gradient_noise


def test_the_noise_of_linear_regression_is_that_of_its_closed_form() -> None:
    found = gradient_noise(regressor(), Drawn(400, 1), HalfSquared(), steps=50)
    assert found.signal == pytest.approx(SIGNAL, rel=0.05)
    assert found.noise == pytest.approx(NOISE, rel=0.05)
    assert found.critical_batch_size == pytest.approx(NOISE / SIGNAL, rel=0.1)


@pytest.mark.parametrize("pieces", [2, 5, 20])
def test_it_does_not_depend_on_the_size_of_the_pieces(pieces: int) -> None:
    found = gradient_noise(regressor(), Drawn(20, 1), HalfSquared(), steps=100, pieces=pieces)
    assert found.critical_batch_size == pytest.approx(NOISE / SIGNAL, rel=0.25)


def test_it_does_not_depend_on_the_size_of_the_microbatches() -> None:
    one, many = (
        gradient_noise(regressor(), Drawn(41, parts), HalfSquared(), steps=3) for parts in (1, 6)
    )
    assert one.signal == pytest.approx(many.signal, rel=1e-12)
    assert one.noise == pytest.approx(many.noise, rel=1e-12)


def test_pieces_of_one_example_give_the_sample_covariance() -> None:
    model, batches = regressor(), Drawn(9, 2)
    found = gradient_noise(model, batches, HalfSquared(), steps=1, pieces=100)
    slopes = []
    for part in batches.at(0):
        x, y = part.inputs["x"], part.labels
        slopes.append((model(x).squeeze(1) - y).detach()[:, None] * x)
    each = torch.cat(slopes)
    noise = each.var(0).sum().item()
    assert found.noise == pytest.approx(noise, rel=1e-12)
    assert found.signal == pytest.approx(each.mean(0).pow(2).sum().item() - noise / 9, rel=1e-9)


def noise_of_toy(model: nn.Module, encoded: Any, tokens: int = 10**6) -> GradientNoise:
    batches = ShuffledBatches(encoded, batch_size=8, max_tokens=tokens, seed=0)
    return gradient_noise(model, batches, Supervised("classification"), steps=3)


def test_a_training_is_not_disturbed() -> None:
    model, encoded = toy()
    model.eval()
    model.register_buffer("seen", torch.zeros(()))
    model.register_forward_hook(lambda module, *_: module.seen.add_(1) and None)
    first, second, *_ = model.parameters()
    first.grad = torch.full_like(first, 3.0)
    held = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    found = noise_of_toy(model, encoded)
    assert torch.equal(torch.rand(3), expected)
    assert not any(module.training for module in model.modules())
    assert torch.equal(first.grad, torch.full_like(first, 3.0))
    assert second.grad is None
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, held[name])
    assert model.config._attn_implementation == "sdpa"
    assert found == noise_of_toy(model, encoded)  # the same seed, the same measurement


def test_a_transformer_gives_the_same_in_microbatches_of_any_size() -> None:
    model, encoded = toy(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model.bert.embeddings.requires_grad_(False)
    whole, parts = (noise_of_toy(model.double(), encoded, tokens) for tokens in (10**6, 16))
    assert whole.noise == pytest.approx(parts.noise, rel=1e-6)
    assert whole.signal == pytest.approx(parts.signal, rel=1e-6)


def test_a_hook_measures_beside_a_training_without_changing_it() -> None:
    model, encoded = toy()
    loss = Supervised("classification")
    alone = fit(model, encoded, loss, FAST)
    model, encoded = toy()
    batches = ShuffledBatches(encoded, batch_size=4, max_tokens=10**6, seed=0)
    told: list[tuple[int, GradientNoise]] = []
    hook = GradientNoiseHook(batches, loss, every=4, tell=lambda *about: told.append(about))
    assert fit(model, encoded, loss, FAST, hooks=[hook]) == alone
    assert [step for step, _ in hook.measured] == [4, 8]  # of 12: after the last, none is to come
    assert told == hook.measured
    assert all(noise.noise > 0 for _, noise in told)


def test_a_loss_that_compares_examples_is_refused() -> None:
    model, encoded = toy()
    batches = ShuffledBatches(encoded, batch_size=4, max_tokens=10**6, seed=0)
    with pytest.raises(ValueError, match="loss: InBatchNegatives compares the examples"):
        gradient_noise(model, batches, InBatchNegatives())


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 4)
    with pytest.raises(ValueError, match="measured in one process, and here are 4"):
        gradient_noise(regressor(), Drawn(4, 1), HalfSquared())


def test_a_batch_of_one_example_is_refused_and_nothing_stays_changed() -> None:
    model = regressor().eval()
    with pytest.raises(ValueError, match="a batch of one example has no pieces"):
        gradient_noise(model, Drawn(1, 1), HalfSquared())
    assert not model.training


def test_the_penalties_of_scheduled_modules_are_signal_and_no_noise() -> None:
    plain = gradient_noise(regressor(), Drawn(12, 2), HalfSquared(), steps=2)
    more = gradient_noise(penalized(), Drawn(12, 2), HalfSquared(), steps=2)
    assert more.noise == pytest.approx(plain.noise, rel=1e-9)
    assert more.signal != pytest.approx(plain.signal, rel=1e-3)
