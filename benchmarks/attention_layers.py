"""transformers' own efficient attention layers, and the same ones converted to our kernels."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from transformers import LongformerConfig
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

from leanformer.attention.convert import convert

WIDTH, HEADS = 512, 8
Layer = tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]
"""A layer, and how it is called on hidden states [1, T, 512]."""


def longformer(length: int) -> Layer:
    """A window of 256 on each side, the first token global."""
    config = LongformerConfig(hidden_size=WIDTH, num_attention_heads=HEADS, attention_window=[512])
    mask = torch.zeros(1, length)
    mask[:, 0] = 1

    def call(layer: nn.Module, hidden: Tensor) -> Tensor:
        return layer(hidden, mask, mask < 0, mask > 0, True)[0]

    return LongformerSelfAttention(config, layer_id=0), call


LAYERS: dict[str, Callable[[int], Layer]] = {"Longformer layer / transformers": longformer}


def layer_calls(made: Layer, length: int, backward: bool) -> Mapping[str, Callable[[], None]]:
    """A layer and itself converted, held against each other and ready to be timed."""
    theirs, call = made
    holder = nn.ModuleDict({"layer": copy.deepcopy(theirs.eval())})
    convert(holder)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, length, WIDTH, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(
            call(holder["layer"], hidden), call(theirs, hidden), rtol=1e-3, atol=1e-4
        )
    return {
        name: _timed(layer, call, hidden, backward)
        for name, layer in (("ours", holder["layer"]), ("theirs", theirs))
    }


def _timed(
    layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor], hidden: Tensor, backward: bool
) -> Callable[[], None]:
    up = torch.randn_like(hidden)

    def once() -> None:
        if not backward:
            with torch.no_grad():
                call(layer, hidden)
            return
        layer.zero_grad()
        call(layer, hidden.clone().requires_grad_()).backward(up)

    return once
