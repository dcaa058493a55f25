"""Keeping some of the input or output channels of a linear map.

The parameters are replaced, not the module, so hooks and references to it stay valid; an optimizer
that holds the old parameters must be built anew. transformers' Conv1D is a linear map whose weight
is (in, out) where Linear's is (out, in).
"""

import torch
from torch import Tensor, nn


def keep_outputs(module: nn.Module, index: Tensor) -> None:
    """Keep the output channels `index` of a Linear or Conv1D, in this order."""
    linear = isinstance(module, nn.Linear)
    _replace(module, "weight", 0 if linear else 1, index)
    if module.bias is not None:
        _replace(module, "bias", 0, index)
    setattr(module, "out_features" if linear else "nf", len(index))


def keep_inputs(module: nn.Module, index: Tensor) -> None:
    """Keep the input channels `index` of a Linear or Conv1D, in this order."""
    linear = isinstance(module, nn.Linear)
    _replace(module, "weight", 1 if linear else 0, index)
    setattr(module, "in_features" if linear else "nx", len(index))


def channels_of(blocks: Tensor, width: int) -> Tensor:
    """The channels of whole blocks: block b of K channels is b·K … b·K + K − 1."""
    return (blocks[:, None] * width + torch.arange(width)).flatten()


def _replace(module: nn.Module, name: str, dim: int, index: Tensor) -> None:
    old = getattr(module, name)
    kept = old.detach().index_select(dim, index.to(old.device)).contiguous()
    setattr(module, name, nn.Parameter(kept, requires_grad=old.requires_grad))
