from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shadow_device import shadow
from torch import Tensor, nn

from leanformer.models.reversible.layers import ReversibleStack, couple, invert
from leanformer.train.account.saved_tensors import saved_tensors


def part(width: int = 6, dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.Tanh(), nn.Dropout(dropout)
    )


def stack(depth: int, dropout: float = 0.0, dtype: torch.dtype = torch.float64) -> ReversibleStack:
    torch.manual_seed(0)
    fs, gs = ([part(dropout=dropout) for _ in range(depth)] for _ in range(2))
    return ReversibleStack(fs, gs).to(dtype)


def plain(model: ReversibleStack, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    for f, g in zip(model.fs, model.gs, strict=True):
        x1, x2 = couple(x1, x2, f, g)
    return x1, x2


@given(seed=st.integers(0, 99), rows=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_inputs_come_back_from_outputs(seed: int, rows: int) -> None:
    torch.manual_seed(seed)
    f, g = part().double(), part().double()
    x1, x2 = torch.randn(2, rows, 6, dtype=torch.float64)
    found = invert(*couple(x1, x2, f, g), f, g)
    torch.testing.assert_close(found, (x1, x2), rtol=0, atol=1e-14)


def slopes(model: ReversibleStack, run: Any, device: Any = "cpu") -> list[Tensor]:
    model.zero_grad()
    torch.manual_seed(3)
    x = torch.randn(2, 5, 6, dtype=torch.float64).to(device).requires_grad_()
    y1, y2 = run(x * 1.0, x * 0.5)
    (y1.square().sum() + (y2 * y1.sin()).sum()).backward()
    after = torch.rand(2)  # what is drawn afterwards is the same too
    return [y1.detach(), x.grad, after, *(p.grad for p in model.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("depth", [1, 6])
def test_gradients_are_those_of_plain_autograd(depth: int, dropout: float) -> None:
    model = stack(depth, dropout)
    expected = slopes(model, lambda x1, x2: plain(model, x1, x2))
    for ours, theirs in zip(slopes(model, model), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_on_another_device_they_are_the_same() -> None:
    model = stack(2, 0.3)
    expected = slopes(model, model)
    model.to(shadow())
    for ours, theirs in zip(slopes(model, model, shadow()), expected, strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-12, atol=1e-12)


def test_frozen_parameters_get_none() -> None:
    model = stack(2)
    model.fs[0].requires_grad_(False)
    y1, _ = model(torch.ones(1, 6).double(), torch.ones(1, 6).double())
    y1.sum().backward()
    assert all(p.grad is None for p in model.fs[0].parameters())
    assert all(p.grad is not None for p in model.gs[0].parameters())


def test_precision_is_that_of_the_forward_pass() -> None:
    model = stack(4, dtype=torch.float32)

    def run(call: Any) -> list[Tensor]:
        model.zero_grad()
        x = torch.linspace(-1, 1, 30).view(5, 6)
        with torch.autocast("cpu", torch.bfloat16):
            y1, y2 = call(x, x)
            loss = (y1 * y2).sum()
        loss.backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    expected = run(lambda x1, x2: plain(model, x1, x2))
    for ours, theirs in zip(run(model), expected, strict=True):
        assert (ours - theirs).norm() <= 2e-2 * theirs.norm()


def test_activations_do_not_grow_with_depth() -> None:
    sizes = {}
    for depth in (2, 8):
        model = stack(depth)
        with saved_tensors(model) as kept:
            model(torch.randn(3, 6).double().requires_grad_(), torch.randn(3, 6).double())
        sizes[depth] = kept.bytes
    assert sizes[2] == sizes[8] == 2 * 3 * 6 * 8


def test_errors_of_what_comes_back_grow_with_depth_and_stay_small() -> None:
    errors = []
    for depth in (1, 8, 64):
        model = stack(depth, dtype=torch.float32)
        x1, x2 = torch.randn(2, 64, 6)
        with torch.no_grad():
            y1, y2 = model(x1, x2)
            for f, g in zip(reversed(model.fs), reversed(model.gs), strict=True):
                y1, y2 = invert(y1, y2, f, g)
        errors.append(float((y1 - x1).abs().max() + (y2 - x2).abs().max()))
    assert errors[0] < errors[1] < errors[2] < 1e-3


def test_each_layer_has_one_of_both() -> None:
    with pytest.raises(ValueError, match="2 modules F and 1 modules G"):
        ReversibleStack([part(), part()], [part()])
