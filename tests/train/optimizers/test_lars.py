from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from train.optimizers.numpy_oracles import lars
from train.optimizers.seams import require_training_goes_on

from leanformer.train.optimizers import Lars, Sgd
from leanformer.train.optimizers.interface import Group
from leanformer.train.optimizers.lars import local_rate
from leanformer.train.scheduled_module import set_lr_scale

SHAPES = ((5, 3), (7,), (3, 2, 2), (4, 4))
DECAYS = (True, False, True, False)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
@pytest.mark.parametrize("vectors", [True, False])
def test_three_steps_equal_the_equation(momentum: float, vectors: bool) -> None:
    rng = np.random.default_rng(0)
    start = [rng.normal(size=shape) for shape in SHAPES]
    slopes = [[rng.normal(size=shape) for shape in SHAPES] for _ in range(3)]
    weights = [nn.Parameter(torch.tensor(array)) for array in start]
    made = Lars(
        learning_rate=2.0, weight_decay=0.2, momentum=momentum, trust_coefficient=0.01,
        adapt_vectors=vectors,
    )  # fmt: skip
    optimizer = made.build(
        [
            Group([(str(i), w) for i, w in enumerate(weights) if DECAYS[i] == decays], decays)
            for decays in (True, False)
        ]
    )
    for row in slopes:
        for weight, slope in zip(weights, row, strict=True):
            weight.grad = torch.tensor(slope)
        optimizer.step()
        for weight, slope in zip(weights, row, strict=True):  # the gradient stays
            assert np.array_equal(weight.grad, slope)
    expected = lars(
        start, slopes, [0.2 * decays for decays in DECAYS], [True, vectors, True, True],
        rate=2.0, momentum=momentum, eta=0.01,
    )  # fmt: skip
    for weight, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(weight.detach().numpy(), theirs, rtol=1e-12)


def test_where_the_factor_is_1_it_is_sgd() -> None:
    """Vectors are not adapted; at a constant rate it does not matter where the rate stands."""
    ours, theirs = (nn.Parameter(torch.ones(5, dtype=torch.float64)) for _ in range(2))
    pairs = ((Lars(learning_rate=0.1, weight_decay=0.3), ours), (Sgd(learning_rate=0.1, weight_decay=0.3), theirs))  # fmt: skip
    optimizers = [made.build([Group([("w", w)], decays=True)]) for made, w in pairs]
    for t in range(4):
        for weight in (ours, theirs):
            weight.grad = torch.linspace(-1, 2, 5, dtype=torch.float64) * (t + 1)
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)


@given(st.integers(0, 2**16), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
@settings(max_examples=20, deadline=None)
def test_a_step_is_of_one_relative_length_whatever_the_scales(
    seed: int, of_weight: float, of_slope: float
) -> None:
    torch.manual_seed(seed)
    start, slope = torch.randn(2, 4, 3, dtype=torch.float64)
    weight = nn.Parameter(of_weight * start)
    optimizer = Lars(learning_rate=5.0).build([Group([("w", weight)], decays=True)])
    weight.grad = of_slope * slope
    optimizer.step()
    step = weight.detach() - of_weight * start
    expected = -5e-3 * of_weight * start.norm() / slope.norm() * slope
    torch.testing.assert_close(step, expected, rtol=1e-9, atol=1e-15 * of_weight)


def test_the_factor_is_1_where_a_norm_is_0() -> None:
    found = local_rate(
        torch.tensor([0.0, 2.0, 2.0]),
        torch.tensor([3.0, 0.0, 3.0]),
        trust_coefficient=0.1,
        weight_decay=0.5,
    )
    assert found.tolist() == pytest.approx([1.0, 1.0, 0.1 * 2 / (3 + 0.5 * 2)])


def test_what_has_a_rate_of_its_own_or_no_gradient_is_not_adapted() -> None:
    own, still = (nn.Parameter(torch.full((2, 2), 3.0)) for _ in range(2))
    set_lr_scale(own, 2.0)
    optimizer = Lars(learning_rate=0.1).build([Group([("o", own), ("s", still)], False, 2.0)])
    own.grad = torch.ones(2, 2)
    optimizer.step()
    torch.testing.assert_close(own.detach(), torch.full((2, 2), 2.8))
    assert still.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_a_closure_is_called() -> None:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = Lars().build([Group([("w", weight)], decays=True)])

    def closure() -> torch.Tensor:
        loss = (weight**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert float(weight.detach().norm()) == pytest.approx(2 * 0.999)


def test_it_trains_and_goes_on_after_a_kill(tmp_path: Any) -> None:
    require_training_goes_on(Lars(learning_rate=0.5, trust_coefficient=0.05), tmp_path / "c")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"momentum": 1.0}, "momentum: 1.0 is not at least 0 and below 1"),
        ({"trust_coefficient": 0.0}, "trust_coefficient: 0.0 is not above 0"),
        ({"weight_decay": -1.0}, "weight_decay: -1.0 is not at least 0"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lars(**fields)
