"""Whole layers are removed: the model runs as if the others followed each other directly."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from leanformer.models.anatomy import Anatomy, require_prunable
from leanformer.models.cutting.selection import chosen
from leanformer.models.lean.per_layer_shapes import configurations, describe


def keep_layers(model: nn.Module, keep: Iterable[int]) -> None:
    """Keep these layers and remove the others, in place; the configuration follows.

    Args:
        model: A transformers model of a known family, with any head.
        keep: Layers to keep; the order of the indices is of no account.

    Raises:
        ValueError: Unknown architecture, indices that do not fit, a GPT-2 that scales attention
            by the layer's number, or a DeBERTa whose first layer has a convolution beside it.
    """
    anatomy = require_prunable(model)
    layers = anatomy.layers(model)
    kept = chosen(keep, len(layers), "layer")
    if getattr(model.config, "scale_attn_by_inverse_layer_idx", False) and kept != list(
        range(len(kept))
    ):
        raise ValueError(
            "this model scales attention by the layer's number (scale_attn_by_inverse_layer_idx); "
            f"layers may be removed from its end only, and {kept} were to be kept"
        )
    _check_first(anatomy, model, kept)
    survivors = [layers[index] for index in kept]
    del layers[:]
    layers.extend(survivors)
    for number, layer in enumerate(layers):
        module: Any
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number  # the key-value cache is addressed by it
    for config in configurations(model):
        config.num_hidden_layers = len(kept)
        if getattr(config, "layer_types", None) is not None:
            config.layer_types = [config.layer_types[index] for index in kept]
    describe(model)


def _check_first(anatomy: Anatomy, model: nn.Module, kept: list[int]) -> None:
    """Refuse to remove a first layer that another module works beside."""
    path = anatomy.first_layer_only
    base: Any = getattr(model, "base_model", model)
    beside = {name for name, _ in base.named_modules()}
    if path in beside and kept[0] != 0:
        raise ValueError(
            f"the model has a convolution beside its first layer ({path}, conv_kernel_size), which "
            f"would then work beside layer {kept[0]}; keep layer 0"
        )
