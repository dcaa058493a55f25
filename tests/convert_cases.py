"""What tests of converted models share: weights to convert, equality of gradients."""

from typing import Any

import torch
from torch import nn

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def randomised(model: Any) -> Any:
    """Weights in float64, large enough that attention is far from a mean."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.double().eval().parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def same_gradients(ours: nn.Module, theirs: nn.Module, off: float = 1e-9) -> set[str]:
    """Check that gradients are equal, up to `off` of the largest one, and name those without."""
    without = set()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if other.grad is None:
            assert one.grad is None, name
            without.add(name)
            continue
        assert one.grad is not None, name
        near = off * max(float(other.grad.abs().max()), 1)
        torch.testing.assert_close(one.grad, other.grad, rtol=off, atol=near, msg=name)
    return without
