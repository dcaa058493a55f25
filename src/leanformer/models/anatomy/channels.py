"""Linear maps by their channels, and keeping some of these, whichever class holds them.

The parameters are replaced, not the module, so hooks and references to it stay valid; an optimizer
that holds the old parameters must be built anew. transformers' Conv1D is a linear map whose weight
is (in, out) where Linear's is (out, in).

Legend: O out, I in.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D


def is_linear(module: nn.Module) -> bool:
    """Whether `module` is a linear map."""
    return isinstance(module, nn.Linear | Conv1D)


def weight_of(module: Any) -> Tensor:
    """The weight [O, I] of a linear map or of a table; for a Conv1D a transposed view."""
    weight: Tensor = module.weight
    return weight.T if isinstance(module, Conv1D) else weight


def conv1d(weight_OI: Tensor, bias: nn.Parameter | None) -> nn.Module:
    """A Conv1D with this weight."""
    rows, columns = weight_OI.shape
    with torch.device("meta"):  # nothing is drawn at random that is replaced at once
        layer = Conv1D(rows, columns)
    layer.weight = nn.Parameter(weight_OI.T.contiguous())
    layer.bias = nn.Parameter(weight_OI.new_zeros(rows)) if bias is None else bias
    return layer


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
