from typing import Any

import pytest
import torch
from torch import Tensor, nn

from leanformer.prune.criteria.interface import GradientStatistics
from leanformer.prune.criteria.weights import BrainDamage, BrainSurgeon
from leanformer.prune.criteria.weights.brain_surgeon import compensated, damped, removal_losses
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.patterns import Unstructured


def fisher(rows: int = 2, groups: int = 3, width: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(20, rows, groups, width, generator=generator).double()
    return (gradients.unsqueeze(-1) * gradients.unsqueeze(-2)).mean(0)


def loss(minimum: Tensor, weight: Tensor, curvature: Tensor) -> Tensor:
    away = (weight - minimum).unsqueeze(-1)
    return 0.5 * (away.transpose(-1, -2) @ curvature @ away).sum()


def test_the_rest_of_a_block_is_at_the_minimum_of_the_quadratic_loss() -> None:
    curvature, minimum = damped(fisher(), 0.1), torch.randn(2, 3, 4).double()
    kept = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(1)) > 0.4
    moved = compensated(minimum, kept, curvature)
    assert (moved[~kept] == 0).all()
    free = moved.clone().requires_grad_()
    loss(minimum, free, curvature).backward()
    assert free.grad is not None
    assert free.grad[kept].abs().max() < 1e-10
    assert loss(minimum, moved, curvature) <= loss(minimum, minimum * kept, curvature)


def test_scores_are_the_losses_of_single_removals() -> None:
    curvature, minimum = damped(fisher(1, 1), 0.1), torch.randn(1, 1, 4).double()
    scores = removal_losses(minimum, curvature)
    for index in range(4):
        kept = torch.ones(1, 1, 4, dtype=torch.bool)
        kept[..., index] = False
        found = loss(minimum, compensated(minimum, kept, curvature), curvature)
        torch.testing.assert_close(scores[0, 0, index], found)


def test_blocks_of_one_are_brain_damage() -> None:
    weight, square = torch.randn(3, 4), torch.rand(3, 4) + 0.1
    statistics = GradientStatistics(
        gradient_OI=square, square_OI=square, fisher_OGBB=square[..., None, None].clone()
    )
    found = BrainSurgeon(block_size=1, damp_percent=1e-9).score(weight, statistics)
    torch.testing.assert_close(found, BrainDamage().score(weight, statistics))


def test_a_layer_gathers_the_products_and_moves_what_is_left() -> None:
    torch.manual_seed(0)
    layer = MaskedLinear(nn.Linear(8, 3), Unstructured(), BrainSurgeon(block_size=4))
    gradients = []
    for _ in range(5):
        layer.zero_grad()
        layer(torch.randn(6, 8)).square().sum().backward()
        assert layer.weight.grad is not None
        gradients.append(layer.weight.grad.clone())
    expected = torch.zeros(3, 2, 4, 4)
    for gradient in gradients:
        parts = gradient.unflatten(1, (2, 4))
        expected = 0.999 * expected + 0.001 * parts.unsqueeze(-1) * parts.unsqueeze(-2)
    torch.testing.assert_close(layer.fisher, expected)
    weight = layer.weight.detach().clone()
    kept = layer.unit_scores() > layer.unit_scores().median()
    layer.set_mask(kept)
    assert (layer.weight[~kept] == 0).all()
    assert not torch.equal(layer.weight[kept], weight[kept])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block_size": 0}, "block_size: 0 is not at least 1"),
        ({"damp_percent": 0}, "damp_percent: 0 is not above 0"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BrainSurgeon(**settings)


def test_blocks_that_do_not_divide_a_row_are_refused() -> None:
    with pytest.raises(ValueError, match="blocks of 5 weights do not divide rows of 8 weights"):
        MaskedLinear(nn.Linear(8, 3), Unstructured(), BrainSurgeon(block_size=5))
