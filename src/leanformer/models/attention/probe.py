"""Which attention layers a transformers model has, found by running it once on a few tokens.

A layer counts if it goes through transformers' `AttentionInterface`. What each call asks for is
seen there too, so that a layer that a mechanism cannot serve is refused before anything is changed.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from leanformer.models.attention.implementations import implementations_kept
from leanformer.models.attention.inputs import AttentionInputs
from leanformer.models.attention.interface import NAME
from leanformer.models.attention.observers import Observer, observing

_CROSS = ("cross", "encoder_attn", "encdec")  # in the names of transformers' modules


@dataclass(frozen=True)
class Layer:
    """One attention layer, seen while the model ran.

    Attributes:
        name: Of its module in the model.
        module: The attention module.
        shapes: Of queries, keys and values.
        causal: Whether its calls are.
        unsupported: Why no mechanism can take its place; empty = one can.
        lost: Arguments of its calls that it would lose even if it stayed dense.
    """

    name: str
    module: Any
    shapes: tuple[tuple[int, ...], ...]
    causal: bool
    unsupported: tuple[str, ...]
    lost: tuple[str, ...]


def layers_of(model: Any) -> list[Layer]:
    """The attention layers of a model in the order they run; the model is left as it was.

    Raises:
        ValueError: The model does not read token ids, cannot be run on a few tokens alone, or has
            no layer that goes through the interface.
    """
    kind = type(model).__name__
    if "input_ids" not in inspect.signature(type(model).forward).parameters:
        reads = getattr(type(model), "main_input_name", "something else")
        raise ValueError(
            f"{kind} does not read token ids but {reads}; attach takes models of text. Nothing was "
            "changed"
        )
    try:
        with implementations_kept(model):
            model.set_attn_implementation(NAME)
            calls = calls_of(model)
    except Exception as error:
        raise ValueError(
            f"{kind} could not be run on a few tokens with its attention observed "
            f"({type(error).__name__}: {str(error).strip()}); its masks or inputs are not those of "
            "a model of text, attach to the part that is one. Nothing was changed"
        ) from error
    if not calls:
        raise ValueError(
            f"{kind}: its attention does not go through transformers' AttentionInterface, so no "
            "mechanism can take its place, and nothing was changed; convert its weights to a "
            "BERT- or RoBERTa-shaped model"
        )
    names = {id(module): name for name, module in model.named_modules()}
    each: dict[int, list[AttentionInputs]] = {}  # a shared layer runs several times
    for call in calls:
        each.setdefault(id(call.module), []).append(call)
    return [_layer(names[key], found) for key, found in each.items()]


def calls_of(model: Any) -> list[AttentionInputs]:
    """Run a model on a few tokens and note the calls that its attention layers make of ours."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), observing(Observer("probe")) as calls:
            model.base_model(**few_tokens(model))
    finally:
        for module, training in modes.items():
            module.training = training
    return calls


def few_tokens(model: Any) -> dict[str, Tensor]:
    """Inputs of a few tokens; a decoder reads fewer than its encoder, which tells them apart."""
    takes = inspect.signature(model.base_model.forward).parameters
    inputs = {
        key: x.to(model.device)
        for key, x in model.dummy_inputs.items()
        if key in takes and x is not None
    }
    if "decoder_input_ids" in takes:
        inputs.setdefault("decoder_input_ids", inputs["input_ids"])
        for key in inputs:
            if key.startswith("decoder_"):
                inputs[key] = inputs[key][:, :-1]
    return inputs


def _layer(name: str, calls: list[AttentionInputs]) -> Layer:
    query, key, value = calls[0].shapes
    requests = [call.request for call in calls if call.request is not None]
    unsupported = [one for request in requests for one in request.unsupported]
    if query[2] != key[2] or any(part in name.lower() for part in _CROSS):
        unsupported.append("keys of another text")
    causal = {request.causal for request in requests}
    if len({call.shapes for call in calls}) > 1 or len(causal) > 1:
        unsupported.append("calls that differ within one forward pass")
    return Layer(
        name=name,
        module=calls[0].module,
        shapes=(query, key, value),
        causal=bool(requests[0].causal),
        unsupported=tuple(dict.fromkeys(unsupported)),
        lost=tuple(dict.fromkeys(one for request in requests for one in request.lost)),
    )
