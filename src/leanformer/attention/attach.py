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

import torch
from torch import nn

from leanformer.attention.checkpoint import METHOD
from leanformer.attention.interface import CORE, NAME, Seen, observed
from leanformer.attention.mechanism import Attention, Heads, Mechanism
from leanformer.attention.pattern_attention import Backend, PatternAttention
from leanformer.core.codec import decode, encode


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
    calls = _layers(model)
    paths = {id(module): name for name, module in model.named_modules()}
    names = [paths[id(call.module)] for call in calls]
    free = [number for number, call in enumerate(calls) if call.plain and not _cross(names[number])]
    chosen = dict(mechanism) if isinstance(mechanism, Mapping) else _each(free, mechanism, layers)
    cores = {}
    for number, one in chosen.items():
        _refuse(names, free, number)
        cores[number] = _by(backend, one.build(_heads(model, calls[number])))
    described = {}
    for number, core in cores.items():
        put(calls[number].module, core)
        described[names[number]] = {
            "mechanism": encode(chosen[number]),
            "heads": encode(core.heads),
        }
    before = getattr(model.config, "quantization_config", None) or {}
    model.config.quantization_config = {
        "quant_method": METHOD,
        "layers": {**before.get("layers", {}), **described},
    }
    model.set_attn_implementation(NAME)
    return Attached(
        layers=tuple(sorted(cores)),
        dense=tuple(number for number in range(len(calls)) if number not in cores),
        parameters=sum(p.numel() for core in cores.values() for p in core.parameters()),
    )


def detach(model: Any) -> None:
    """Let every layer attend densely again; parameters of mechanisms are forgotten."""
    for module in model.modules():
        if isinstance(getattr(module, CORE, None), Attention):
            delattr(module, CORE)
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    model.set_attn_implementation("sdpa")


def attached(model: Any) -> dict[str, Attention]:
    """The mechanisms of a model by the name of their attention module."""
    return {
        name: getattr(module, CORE)
        for name, module in model.named_modules()
        if isinstance(getattr(module, CORE, None), Attention)
    }


def attach_described(model: Any, layers: Mapping[str, Any]) -> None:
    """Put in place what `config.json` says of a model that `attach` changed."""
    for name, said in layers.items():
        with torch.device("cpu"):  # transformers builds models without memory for their weights
            mechanism = decode(Mechanism, said["mechanism"], f"{name}.mechanism")
            core = mechanism.build(decode(Heads, said["heads"], f"{name}.heads"))
        model.get_submodule(name).add_module(CORE, core)
    model.set_attn_implementation(NAME)


def put(module: nn.Module, core: Attention) -> None:
    """Let an attention module attend by `core`, which moves to where the module's weights are."""
    weight = next(module.parameters())
    module.add_module(CORE, core.to(weight.device, weight.dtype).train(module.training))


def _layers(model: Any) -> list[Seen]:
    """The attention layers that go through the interface, in the order they run."""
    rounds = getattr(model.config, "quantization_config", None)
    if rounds is not None and rounds.get("quant_method") != METHOD:
        raise ValueError(
            "the layers of the model round their weights, and nothing was changed; attach a "
            "mechanism before it is quantized"
        )
    name, before = type(model).__name__, model.config._attn_implementation
    training = model.training
    calls: list[Seen] = []
    try:
        model.set_attn_implementation(NAME)
        model.eval()
        with torch.no_grad(), observed() as calls:
            model.base_model(**{key: x.to(model.device) for key, x in model.dummy_inputs.items()})
    finally:
        model.train(training)
        model.set_attn_implementation(before)
    modules = {id(call.module): call for call in calls}  # a shared layer runs several times
    if not modules:
        raise ValueError(
            f"{name}: its attention does not go through transformers' AttentionInterface, so no "
            "mechanism can take its place, and nothing was changed; convert its weights to a "
            "BERT- or RoBERTa-shaped model"
        )
    return list(modules.values())


def _each(
    free: list[int], mechanism: Mechanism, layers: Collection[int] | None
) -> dict[int, Mechanism]:
    if layers is not None:
        return dict.fromkeys(layers, mechanism)
    if not free:
        raise ValueError(
            "no layer of the model attends to all that it may: each has a window or a position "
            "bias of its own, and nothing was changed"
        )
    return dict.fromkeys(free, mechanism)


def _refuse(names: list[str], free: list[int], number: int) -> None:
    if not 0 <= number < len(names):
        raise ValueError(
            f"layers: there is no layer {number}; the model has {len(names)} attention layers, "
            f"0 to {len(names) - 1}, and nothing was changed"
        )
    if number not in free:
        raise ValueError(
            f"layers: layer {number} ({names[number]}) attends to another text, or has a window or "
            "a position bias of its own, which a mechanism would not honour; leave it dense"
        )


def _by(backend: Backend, core: Attention) -> Attention:
    """A built mechanism, computed by this backend."""
    if isinstance(core, PatternAttention):
        core.backend = backend
    elif backend == "flex":
        raise ValueError(
            f"backend: FlexAttention computes patterns, and {type(core).__name__} is none; leave "
            'backend = "auto". Nothing was changed'
        )
    return core


def _cross(name: str) -> bool:
    """Whether a layer attends to the encoder's text; transformers says it in its name alone."""
    return any(part in name.lower() for part in ("cross", "encoder_attn", "encdec"))


def _heads(model: Any, call: Seen) -> Heads:
    query, key, _ = call.shapes
    config = model.config.get_text_config()
    return Heads(
        num_heads=query[1],
        num_kv_heads=key[1],
        head_dim=query[3],
        causal=call.causal,
        max_length=getattr(config, "max_position_embeddings", None),
    )
