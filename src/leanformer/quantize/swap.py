"""Layers of a model swapped for ones that round, in place, and the configuration that says so.

`swap` is for any caller: a quantizer for each layer, so that bits may differ from layer to layer.
The configuration goes where `save_pretrained` writes it, and `from_pretrained` calls
`swap_described` with it: the model comes back with the same layers
(`leanformer.quantize.checkpoint`).
"""

import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from leanformer.core.codec import decode, encode
from leanformer.models.lean.stored_config import check_unstored, mark_stored
from leanformer.quantize.activations import Activations
from leanformer.quantize.fake import QATEmbedding, QATLinear
from leanformer.quantize.quantizer import Quantizer

METHOD = "leanformer"  # how config.json calls all of our forms


def swap(
    model: Any,
    layers: Mapping[str, Quantizer | None],
    activations: Activations | None = None,
    clip: float | None = None,
) -> None:
    """Swap layers of `model`, in place, for ones that round.

    Args:
        model: A transformers model.
        layers: What rounds the weight of each linear layer or embedding, by name; None where the
            weight is used as it is and only the input is rounded.
        activations: What rounds the inputs of linear layers; None = nothing.
        clip: Latent weights beyond ±clip are clipped.

    Raises:
        ValueError: A name is not that of a linear layer or embedding, or the model is stored in
            another form. Nothing is changed then.
    """
    check_unstored(model.config, METHOD)
    kinds = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Embedding)
    }
    if unknown := [name for name in layers if name not in kinds]:
        raise ValueError(
            f"layers: {', '.join(unknown)} is not a linear layer or embedding of the model; "
            "names are those of model.named_modules(), and a layer is swapped once"
        )
    for name, quantizer in layers.items():
        model.set_submodule(name, _rounding(kinds[name], quantizer, activations, clip))
    mark_stored(model.config, described(layers, activations, clip))


def described(
    layers: Mapping[str, Quantizer | None], activations: Activations | None, clip: float | None
) -> dict[str, Any]:
    """What config.json says of a model with these layers, in the latent form."""
    return {
        "quant_method": METHOD,
        "form": "latent",
        "layers": {name: None if q is None else encode(q) for name, q in layers.items()},
        "activations": None if activations is None else encode(activations),
        "clip": clip,
    }


def swap_described(model: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Swap the layers that a configuration names; their tables by the names in `model`.

    The tables have the present names of fields, whatever version of leanformer wrote them.

    Raises:
        ValueError: None of the layers is there, a technique in the configuration is not known, or
            `clip` is not a positive number.
    """
    import leanformer.quantize.quantizers  # noqa: F401  (registers what configurations name)

    layers: dict[str, Quantizer | None] = {}
    decoded: dict[str, Quantizer | None] = {}  # most layers share one; old names warn once
    for name, table in found(model, settings["layers"]).items():
        text = json.dumps(table, sort_keys=True)
        if text not in decoded:
            place = f"config.json: quantization_config.layers.{name}"
            decoded[text] = decode(Quantizer | None, table, place)
        layers[name] = decoded[text]
    activations = activations_of(settings)
    clip = settings["clip"]
    if clip is not None and not (isinstance(clip, int | float) and clip > 0):
        raise ValueError(
            f"config.json: quantization_config.clip is {clip!r}, which is not a positive number; "
            "the file was changed by hand or is damaged"
        )
    swap(model, layers, activations, clip)
    tables: dict[str, Any] = described(layers, activations, clip)["layers"]
    return tables


def activations_of(settings: dict[str, Any]) -> Activations | None:
    """What rounds the inputs, as the configuration says.

    Raises:
        ValueError: The technique is not known.
    """
    place = "config.json: quantization_config.activations"
    chosen: Activations | None = decode(Activations | None, settings["activations"], place)
    return chosen


def found(model: Any, layers: Mapping[str, Any]) -> dict[str, Any]:
    """`layers` by the names that they have in `model`, a bare encoder or one with a head.

    What this class of model does not have, such as another head, is left out.

    Raises:
        ValueError: None of the layers is there.
    """
    names = {name for name, _ in model.named_modules()}
    prefix = f"{model.base_model_prefix}."
    renamed = {}
    for name, value in layers.items():
        for candidate in (name, name.removeprefix(prefix), prefix + name):
            if candidate in names:
                renamed[candidate] = value
                break
    if not renamed:
        raise ValueError(
            f"config.json: quantization_config names {len(layers)} layers, and none of them is in "
            f"{type(model).__name__}; the file was changed by hand, or is of another architecture"
        )
    return renamed


def _rounding(
    layer: Any, quantizer: Quantizer | None, activations: Activations | None, clip: float | None
) -> nn.Module:
    if isinstance(layer, nn.Embedding):
        return QATEmbedding(layer, quantizer, clip).train(layer.training)
    inputs = None if activations is None else activations.build(layer.in_features)
    if inputs is not None and layer.weight.device.type != "meta":
        inputs.to(layer.weight.device)
    return QATLinear(layer, quantizer, inputs, clip).train(layer.training)
