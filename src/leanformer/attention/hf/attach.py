"""Puts a mechanism into the attention layers of a transformers model, and takes it out again.

    attach(model, SlidingWindow(left=256, right=256) | GlobalTokens(tokens=(0,)))
    attach(model, {0: SlidingWindow(), 5: LSH()})
    detach(model)

Which layers a model has, and what they are given, is found by running it once on a few tokens: a
layer counts if it goes through transformers' `AttentionInterface`, so that models that keep their
own attention are refused instead of being left dense in silence. Weights stay as they are; the
parameters of a learned mechanism are new, and the model must be trained with them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from leanformer.attention.heads import Heads
from leanformer.attention.hf.checkpoint import METHOD
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.attention.patterns.pattern_attention import Backend, PatternAttention
from leanformer.core.codec import encode
from leanformer.models.attention.implementations import implementations, put_implementations
from leanformer.models.attention.interface import MECHANISM, NAME
from leanformer.models.attention.probe import Layer, layers_of
from leanformer.models.lean.stored_config import check_unstored, mark_plain, mark_stored

_BEFORE = "attention_before_attach"  # of a model: what each of its configurations named


@dataclass(frozen=True)
class Attached:
    """What `attach` did.

    Attributes:
        layers: Numbers of the attention layers that have a mechanism now, in the order they run.
        dense: Numbers of those that were left as they were.
        parameters: New parameters, to be trained.
    """

    layers: tuple[int, ...]
    dense: tuple[int, ...]
    parameters: int


def attach(
    model: Any,
    mechanism: Mechanism | Mapping[int, Mechanism],
    *,
    layers: Collection[int] | None = None,
    backend: Backend = "auto",
) -> Attached:
    """Let layers of a model attend by a mechanism; nothing is changed where it is refused.

    Args:
        model: A transformers model whose attention goes through `AttentionInterface`.
        mechanism: Of all layers, or one a layer, by the layer's number.
        layers: Numbers of the layers; None = every one that attends within a text to all that it
            may. Layers with a window of their own and cross-attention stay dense.
        backend: Who computes patterns, see `PatternAttention.backend`; it is not saved.

    Raises:
        ValueError: The model keeps its own attention, a layer does not exist or cannot be
            replaced, the mechanism cannot serve it, or has no such backend.
    """
    check_unstored(getattr(model, "config", None), METHOD)
    found = layers_of(model)
    free = [number for number, layer in enumerate(found) if not layer.unsupported]
    if isinstance(mechanism, Mapping):
        chosen = dict(mechanism)
    else:
        chosen = dict.fromkeys(free if layers is None else layers, mechanism)
    _refuse(type(model).__name__, found, chosen)
    modules = {
        number: _by(backend, one.build(_heads(model, found[number])))
        for number, one in chosen.items()
    }
    described = {}
    for number, attention in modules.items():
        put_mechanism(found[number].module, attention)
        described[found[number].name] = {
            "mechanism": encode(chosen[number]),
            "heads": encode(attention.heads),
        }
    before = getattr(model.config, "quantization_config", None) or {}
    layers_now = {**before.get("layers", {}), **described}
    mark_stored(model.config, {"quant_method": METHOD, "layers": layers_now})
    if not hasattr(model, _BEFORE):
        setattr(model, _BEFORE, implementations(model))
    model.set_attn_implementation(NAME)
    return Attached(
        layers=tuple(sorted(modules)),
        dense=tuple(number for number in range(len(found)) if number not in modules),
        parameters=sum(p.numel() for one in modules.values() for p in one.parameters()),
    )


def detach(model: Any) -> None:
    """Let every layer attend densely again; parameters of mechanisms are forgotten."""
    for module in model.modules():
        if isinstance(getattr(module, MECHANISM, None), Attention):
            delattr(module, MECHANISM)
    mark_plain(model.config)
    if hasattr(model, _BEFORE):
        put_implementations(getattr(model, _BEFORE))
        delattr(model, _BEFORE)
    else:  # it was loaded with its mechanisms
        model.set_attn_implementation("sdpa" if model._supports_sdpa else "eager")


def attached(model: Any) -> dict[str, Attention]:
    """The mechanisms of a model by the name of their attention module."""
    return {
        name: getattr(module, MECHANISM)
        for name, module in model.named_modules()
        if isinstance(getattr(module, MECHANISM, None), Attention)
    }


def put_mechanism(module: nn.Module, attention: Attention) -> None:
    """Let an attention module attend by `attention`, which moves to its device and dtype."""
    weight = next(module.parameters())
    module.add_module(MECHANISM, attention.to(weight.device, weight.dtype).train(module.training))


def _refuse(model: str, found: list[Layer], chosen: Mapping[int, Mechanism]) -> None:
    if not chosen:
        raise ValueError(
            f"{model}: no layer can have a mechanism, and nothing was changed: {_why(found)}"
        )
    for number in chosen:
        if not 0 <= number < len(found):
            raise ValueError(
                f"layers: there is no layer {number}; the model has {len(found)} attention layers, "
                f"0 to {len(found) - 1}, and nothing was changed"
            )
        if found[number].unsupported:
            raise ValueError(
                f"layers: layer {number} ({found[number].name}) asks for "
                f"{', '.join(found[number].unsupported)}, which a mechanism would not honor; leave "
                "it dense. Nothing was changed"
            )
    lost = [layer for number, layer in enumerate(found) if number not in chosen and layer.lost]
    if lost:
        raise ValueError(
            f"{model}: of the layers that would stay dense {_why(lost, lost=True)}, which torch's "
            "dense attention would not honor in their place; nothing was changed"
        )


def _why(layers: list[Layer], *, lost: bool = False) -> str:
    """What layers ask for, with the first that does: "decoder.0 asks for s_aux"."""
    first: dict[str, str] = {}
    for layer in layers:
        for one in layer.lost if lost else layer.unsupported:
            first.setdefault(one, layer.name)
    return ", ".join(f"{name} asks for {one}" for one, name in first.items())


def _by(backend: Backend, attention: Attention) -> Attention:
    """A built mechanism, computed by this backend."""
    if isinstance(attention, PatternAttention):
        attention.backend = backend
    elif backend == "flex":
        raise ValueError(
            f"backend: FlexAttention computes patterns, and {type(attention).__name__} is not one; "
            'leave backend = "auto". Nothing was changed'
        )
    return attention


def _heads(model: Any, layer: Layer) -> Heads:
    query, key, _ = layer.shapes
    config = model.config.get_text_config()
    return Heads(
        num_heads=query[1],
        num_kv_heads=key[1],
        head_dim=query[3],
        causal=layer.causal,
        max_length=getattr(config, "max_position_embeddings", None),
    )
