"""torch's three ways to compute a step: AdamW and SGD give equal results in all of them."""

from typing import Any

import pytest
import torch
from torch import nn

from leanformer.train.optimizers import AdamW, Sgd
from leanformer.train.optimizers.interface import Group, Optimizer

MADE: list[type[Optimizer]] = [AdamW, Sgd]


def trained(cls: Any, implementation: Any) -> torch.Tensor:
    """All weights after five steps, in one tensor."""
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(shape)) for shape in ((7, 13), (5,), (3, 2, 2))]
    made = cls(learning_rate=0.1, weight_decay=0.1, implementation=implementation)
    named = [(str(place), weight) for place, weight in enumerate(weights)]
    optimizer = made.build([Group(named[:1], decays=True), Group(named[1:], decays=False)])
    flags = {key: optimizer.param_groups[0][key] for key in ("fused", "foreach")}
    assert flags == {"fused": implementation == "fused", "foreach": implementation == "foreach"}
    for _ in range(5):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        optimizer.step()
    return torch.cat([weight.detach().flatten() for weight in weights])


@pytest.mark.parametrize("cls", MADE)
def test_all_for_one_and_one_after_the_other_are_bitwise_equal(cls: Any) -> None:
    assert torch.equal(trained(cls, "foreach"), trained(cls, "for-loop"))


@pytest.mark.parametrize("cls", MADE)
def test_fused_is_equal_up_to_rounding(cls: Any) -> None:
    torch.testing.assert_close(trained(cls, "fused"), trained(cls, "for-loop"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cls", MADE)
def test_another_implementation_is_refused_before_anything_is_built(cls: Any) -> None:
    with pytest.raises(
        ValueError, match="implementation: 'apex' is not one of fused, foreach, for-loop"
    ):
        cls(implementation="apex").build([])
