from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from train.optimizers.numpy_oracles import lamb
from train.optimizers.seams import require_training_goes_on

from leanformer.train.checkpoints import checkpoint
from leanformer.train.optimizers import AdamW, Lamb
from leanformer.train.optimizers.interface import Group
from leanformer.train.optimizers.lamb import lamb_update
from leanformer.train.scheduled_module import set_lr_scale

SHAPES = ((5, 3), (7,), (3, 2, 2), (4, 4))
DECAYS = (True, False, True, False)  # the last one as an embedding


def trained(
    made: Lamb, steps: int = 3, adapted: tuple[bool, ...] = (True, False, True, True)
) -> tuple[list[np.ndarray], list[np.ndarray], list[list[np.ndarray]]]:
    """Weights before and after, and the gradients."""
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape) for shape in SHAPES]
    start[0] *= 40  # of a norm beyond 10
    slopes = [[rng.normal(size=shape) for shape in SHAPES] for _ in range(steps)]
    weights = [nn.Parameter(torch.tensor(array)) for array in start]
    groups = [
        Group([(str(i), w) for i, w in enumerate(weights) if DECAYS[i] == decays], decays)
        for decays in (True, False)
    ]
    optimizer = made.build(groups)
    for row in slopes:
        for weight, slope in zip(weights, row, strict=True):
            weight.grad = torch.tensor(slope)
        optimizer.step()
    return start, [weight.detach().numpy() for weight in weights], slopes


@pytest.mark.parametrize("way", ["fused", "for-loop"])
@pytest.mark.parametrize("correct", [True, False])
@pytest.mark.parametrize("vectors", [True, False])
def test_three_steps_equal_the_equation(way: Any, correct: bool, vectors: bool) -> None:
    made = Lamb(
        learning_rate=0.1, weight_decay=0.2, betas=(0.8, 0.95),
        bias_correction=correct, adapt_vectors=vectors, implementation=way,
    )  # fmt: skip
    start, found, slopes = trained(made)
    expected = lamb(
        start, slopes, [0.2 * decays for decays in DECAYS], [True, vectors, True, True],
        rate=0.1, betas=(0.8, 0.95), correct=correct,
    )  # fmt: skip
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_where_the_ratio_is_1_it_is_adamw() -> None:
    """Vectors are not adapted, and without decay both are plain Adam."""
    ours, theirs = (nn.Parameter(torch.ones(5, dtype=torch.float64)) for _ in range(2))
    optimizers = [
        made.build([Group([("w", w)], decays=True)])
        for made, w in (
            (Lamb(learning_rate=0.1, weight_decay=0.0, eps=1e-7), ours),
            (AdamW(learning_rate=0.1, weight_decay=0.0, eps=1e-7), theirs),
        )
    ]
    for t in range(4):
        for weight in (ours, theirs):
            weight.grad = torch.linspace(-1, 2, 5, dtype=torch.float64) * (t + 1)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)


def moved(weight: torch.Tensor, slope: torch.Tensor, **fields: Any) -> torch.Tensor:
    """What one step adds to `weight`."""
    parameter = nn.Parameter(weight.clone())
    made = Lamb(learning_rate=0.1, eps=1e-30, max_weight_norm=1e30, **fields)
    optimizer = made.build([Group([("w", parameter)], decays=True)])
    parameter.grad = slope.clone()
    optimizer.step()
    return parameter.detach() - weight


@given(st.integers(0, 2**16), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_a_step_is_of_one_relative_length_whatever_the_scales(
    seed: int, of_weight: float, of_slope: float
) -> None:
    torch.manual_seed(seed)
    weight, slope = torch.randn(2, 4, 3, dtype=torch.float64)
    step = moved(weight, slope, weight_decay=0.0)
    scaled = moved(of_weight * weight, of_slope * slope, weight_decay=0.0)
    torch.testing.assert_close(scaled, of_weight * step, rtol=1e-9, atol=1e-12)
    assert float(step.norm() / weight.norm()) == pytest.approx(0.1, rel=1e-12)


def test_a_weight_of_zeros_and_an_update_of_zeros_have_the_ratio_1() -> None:
    zeros, ones = torch.zeros(2, 2), torch.ones(2, 2)
    torch.testing.assert_close(moved(zeros, ones, weight_decay=0.0), -0.1 * ones)
    torch.testing.assert_close(moved(ones, zeros, weight_decay=0.0), zeros)


def test_what_has_a_rate_of_its_own_or_no_gradient_is_not_adapted() -> None:
    own, still = (nn.Parameter(torch.full((2, 2), 3.0)) for _ in range(2))
    set_lr_scale(own, 2.0)
    optimizer = Lamb(learning_rate=0.1).build([Group([("o", own), ("s", still)], False, 2.0)])
    own.grad = torch.ones(2, 2)
    optimizer.step()
    torch.testing.assert_close(own.detach(), torch.full((2, 2), 2.8))
    assert still.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_many_parameters_go_in_buckets_with_the_same_result(monkeypatch: Any) -> None:
    whole = trained(Lamb(learning_rate=0.1))[1]
    monkeypatch.setattr("leanformer.train.optimizers.trust._BUCKET", 12)
    for ours, theirs in zip(trained(Lamb(learning_rate=0.1))[1], whole, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_gradient_stays_and_a_closure_is_called() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = Lamb().build([Group([("w", weight)], decays=True)])

    def closure() -> torch.Tensor:
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert weight.grad is not None
    assert weight.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_the_update_is_a_function_of_tensors_that_changes_none() -> None:
    weight, mean, square = torch.rand(3, 4, dtype=torch.float64)
    held = [tensor.clone() for tensor in (weight, mean, square)]
    about: dict[str, Any] = {"betas": (0.9, 0.99), "eps": 1e-6, "weight_decay": 0.1}
    update = lamb_update(weight, mean, square, step=2, **about)
    expected = (mean / 0.19) / ((square / 0.0199).sqrt() + 1e-6) + 0.1 * weight
    torch.testing.assert_close(update, expected)
    assert all(torch.equal(a, b) for a, b in zip(held, (weight, mean, square), strict=True))


@pytest.mark.parametrize("way", ["fused", "for-loop"])
def test_it_trains_and_goes_on_after_a_kill(tmp_path: Any, way: Any) -> None:
    require_training_goes_on(Lamb(learning_rate=0.02, implementation=way), tmp_path / "c")


@pytest.mark.parametrize("fields", [{}, {"implementation": "for-loop"}, {"bias_correction": False}])
def test_a_checkpoint_knows_its_state_by_name(fields: dict[str, Any]) -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = Lamb(**fields).build([Group([("layer.weight", weight)], decays=True)])
    weight.grad = torch.ones(2, 2)
    optimizer.step()
    tensors = checkpoint.optimizer_tensors(optimizer)
    assert set(tensors) == {f"layer.weight.{name}" for name in ("step", "exp_avg", "exp_avg_sq")}
    assert tensors["layer.weight.step"].item() == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_weight_norm": 0.0}, "max_weight_norm: 0.0 is not above 0"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\]: 1.0 is not at least 0 and below 1"),
        ({"eps": 0.0}, "eps: 0.0 is not above 0"),
        ({"implementation": "foreach"}, "implementation: 'foreach' is not one of fused, for-loop"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lamb(**fields)
