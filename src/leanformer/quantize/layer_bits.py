"""A bit choice carried out: the weights of each transformer layer get the bits chosen for it."""

from dataclasses import replace
from typing import Any

from leanformer.core.workspace import Workspace
from leanformer.data import Batch, encode_examples
from leanformer.models.anatomy import layers_of
from leanformer.quantize.bit_choice import BitChoice
from leanformer.quantize.quantizer import Quantizer
from leanformer.quantize.quantizers import Uniform
from leanformer.train.loss import Supervised

_ROWS = 16  # texts of a batch on which curvature is measured


def with_bits(
    workspace: Workspace,
    rounding: dict[str, Quantizer | None],
    choice: BitChoice,
    weights: Uniform,
    max_length: int,
) -> dict[str, Quantizer | None]:
    """`rounding` with the weights of each transformer layer in the bits that `choice` gives it.

    Args:
        workspace: The model, and the texts that the choice may look at; the choice is recorded.
        rounding: What rounds which layer, by name; what is outside of the stack stays as it is.
        choice: Who chooses.
        weights: The quantizer, whose bits are replaced.
        max_length: Longer texts are cut to this many tokens.

    Raises:
        ValueError: The choice needs labels and there are none, or does not suit the layers.
    """
    dataset, kind = workspace.dataset, workspace.dataset.task.kind
    if choice.texts and (dataset.train.labels is None or dataset.task.about.form is None):
        raise ValueError(
            f"bits: the curvature of the loss needs labels, and a task of kind {kind} has none; "
            "list the bits (fixed-bits)"
        )

    def slices(count: int) -> list[list[Batch]]:
        some = dataset.train.take(list(range(min(choice.texts, len(dataset.train)))))
        encoded = encode_examples(some, workspace.tokenizer, kind, max_length)
        parts = [list(range(first, len(some), count)) for first in range(count)]
        return [
            [encoded.batch(part[start : start + _ROWS]) for start in range(0, len(part), _ROWS)]
            for part in parts
        ]

    stack = stacked(workspace.model, list(rounding))
    members = {
        layer: [f"{name}.weight" for name in names] for layer, names in stack.items() if names
    }
    chosen = choice.choose(workspace.model, members, slices, Supervised(kind).mean)
    rows = [vars(one) for one in chosen]
    workspace.record.write("bits_by_layer", model=workspace.name, rows=rows)
    bits = {one.layer: one.bits for one in chosen}
    return rounding | {
        name: replace(weights, bits=bits[layer]) for layer in members for name in stack[layer]
    }


def stacked(model: Any, names: list[str]) -> dict[str, list[str]]:
    """Which of `names` lie in which layer of the stack, by the layer's name, in order."""
    places = {id(module): name for name, module in model.named_modules()}
    layers = [places[id(layer)] for layer in layers_of(model)]
    return {layer: [n for n in names if n.startswith(f"{layer}.")] for layer in layers}
