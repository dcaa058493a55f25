"""A model without its weights: names, shapes and configuration, to try a step on at no cost."""

import copy
from typing import Any

import torch
from torch import nn


def without_weights(model: nn.Module) -> Any:
    """A copy of `model` on torch's meta device; tied weights stay tied, `model` is as it was."""
    empty: dict[int, Any] = {}
    for weight in model.parameters():
        bare = torch.empty_like(weight, device="meta")
        empty[id(weight)] = nn.Parameter(bare, requires_grad=weight.requires_grad)
    for buffer in model.buffers():
        empty[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, empty)
