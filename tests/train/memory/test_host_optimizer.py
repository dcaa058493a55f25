from collections.abc import Callable
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import nn
from train.two_terms import same

from leanformer.train.checkpoints.checkpoint import optimizer_tensors, restore_optimizer
from leanformer.train.memory.host_optimizer import HostOptimizer
from leanformer.train.optimizers import AdamW, Sgd
from leanformer.train.optimizers.interface import Group, Optimizer, grouped
from leanformer.train.precision import Precision

KINDS = [AdamW(learning_rate=0.1), Sgd(learning_rate=0.1, weight_decay=0.01)]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)).to(shadow())


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, steps: range, between: Any = None
) -> None:
    for number in steps:
        torch.manual_seed(number)
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (1 + number)
        model(torch.randn(5, 4).to(shadow())).square().sum().backward()
        if number % 2:
            model[0].bias.grad = None  # type: ignore[union-attr]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if between is not None:
            between(model)


def plain(model: nn.Module, kind: Optimizer) -> torch.optim.Optimizer:
    return kind.build(grouped([model]))


def host(model: nn.Module, kind: Optimizer) -> HostOptimizer:
    return HostOptimizer(plain(model, kind), shadow())


def mask(model: Any) -> None:
    """What pruning does between two steps."""
    with torch.no_grad():
        model[2].weight[:, 0] = 0.0


@pytest.mark.parametrize("between", [None, mask])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_the_resident_optimizer(kind: Optimizer, between: Any) -> None:
    one, other = network(), network()
    train(one, plain(one, kind), range(5), between)
    optimizer = host(other, kind)
    train(other, optimizer, range(5), between)
    found = [{n: t.cpu() for n, t in model.state_dict().items()} for model in (one, other)]
    assert same(*found)
    assert all(p.device.type == "shadow" for p in other.parameters())
    states = [s for entries in optimizer.inner.state.values() for s in entries.values()]
    assert states
    assert all(state.device.type == "cpu" for state in states)


@pytest.mark.parametrize("makers", [(host, plain), (plain, host), (host, host)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_goes_on_wherever_the_state_is(
    kind: Optimizer, makers: tuple[Callable[..., Any], Callable[..., Any]]
) -> None:
    one, other, whole = network(), network(), network()
    before = makers[0](one, kind)
    train(one, before, range(3))
    tensors = {name: tensor.cpu() for name, tensor in optimizer_tensors(before).items()}
    assert any(name.startswith("0.2.weight.") for name in tensors)
    after = makers[1](other, kind)
    other.load_state_dict(one.state_dict())
    restore_optimizer(after, tensors)
    train(other, after, range(3, 6))
    train(whole, plain(whole, kind), range(6))
    found = [{n: t.cpu() for n, t in model.state_dict().items()} for model in (other, whole)]
    assert same(*found)


def test_the_host_holds_weights_gradients_and_two_moments() -> None:
    model = network()
    optimizer = host(model, KINDS[0])
    train(model, optimizer, range(1))
    weights = sum(p.numel() for p in model.parameters())
    steps = len(list(model.parameters()))
    assert optimizer.bytes() == 4 * (4 * weights + steps)


def test_a_step_may_compute_the_loss_itself() -> None:
    model = network()
    optimizer = host(model, KINDS[1])

    def closure() -> float:
        loss = model(torch.ones(1, 4).to(shadow())).square().sum()
        loss.backward()
        return float(loss.detach().cpu())

    assert optimizer.step(closure) > optimizer.step(closure) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_in_fp16_a_step_that_overflowed_is_left_out(kind: Optimizer) -> None:
    weight = nn.Parameter(torch.zeros(2))
    resident = nn.Parameter(torch.zeros(2))
    inner, other = (kind.build([Group([("w", p)], decays=False)]) for p in (weight, resident))
    pairs = [(weight, HostOptimizer(inner, torch.device("cpu"))), (resident, other)]
    for parameter, optimizer in pairs:
        cast = Precision("fp16")
        for factor, moves in ((1.0, True), (float("inf"), False), (2.0, True)):
            cast.backward((parameter * torch.tensor([3.0, 4.0]) * factor).sum())
            cast.unscale(optimizer)
            assert cast.step(optimizer) == moves
            optimizer.zero_grad()
    assert torch.equal(weight, resident)
    assert weight.all()
