"""One layer cut to some of its heads or neurons: the rows and columns that go together."""

from typing import Any

import torch
from torch import Tensor, nn

from leanformer.models.anatomy import Anatomy
from leanformer.models.anatomy.channels import channels_of, keep_inputs, keep_outputs
from leanformer.models.anatomy.shared_bias import bias_heads, take_bias


def cut_heads(anatomy: Anatomy, layer: nn.Module, heads: list[int], kv_heads: list[int]) -> None:
    """Cut one layer down to these query heads and these key and value heads."""
    width = anatomy.head_dim(layer)
    if anatomy.shared_bias and len(heads) < anatomy.heads(layer):
        columns = bias_heads(anatomy, layer)
        take_bias(anatomy, layer, [columns[head] for head in heads])
    query = channels_of(torch.tensor(heads), width)
    key = channels_of(torch.tensor(kv_heads), width)
    if len(anatomy.projections) == 1:
        keep_outputs(layer.get_submodule(anatomy.projections[0]), _stack(query, anatomy, layer))
    else:
        for path, channels in zip(anatomy.projections, (query, key, key), strict=True):
            keep_outputs(layer.get_submodule(path), channels)
    present = dict(layer.named_modules())
    for path in anatomy.position_projections:
        if path in present:
            keep_outputs(present[path], query)
    keep_inputs(anatomy.head_point(layer), query)
    attention: Any = anatomy.attention(layer)
    for name in anatomy.head_counts:
        setattr(attention, name, len(heads))
    for name in anatomy.head_channels:
        setattr(attention, name, len(query))
    if hasattr(attention, "num_key_value_groups"):
        attention.num_key_value_groups = len(heads) // len(kv_heads)


def _stack(query: Tensor, anatomy: Anatomy, layer: nn.Module) -> Tensor:
    """The same channels in the query, key and value parts of one fused projection."""
    part = anatomy.heads(layer) * anatomy.head_dim(layer)
    return torch.cat([query, query + part, query + 2 * part])


def cut_neurons(anatomy: Anatomy, layer: nn.Module, neurons: list[int]) -> None:
    """Cut one layer down to these neurons."""
    width = anatomy.ffn_width(layer)
    index = torch.tensor(neurons)
    for path in anatomy.ffn_in:
        stacked = [index + block * width for block in range(anatomy.stacked)]
        keep_outputs(layer.get_submodule(path), torch.cat(stacked))
    keep_inputs(anatomy.ffn_point(layer), index)
