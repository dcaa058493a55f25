"""Removing empty heads and neurons, as a step: sparsity becomes speed.

A neuron, or a channel of a head, reaches the rest of the model only through its column of the
output projection behind it (`models.anatomy`):

    y = W x + b = Σ_c W[:, c] x_c + b

Removing channel c leaves y as it is in two cases:

    W[:, c] = 0                          the channel adds nothing
    the weights that compute x_c are 0   x_c is the same for every token: b ← b + W[:, c] x_c

Example, an FFN of three neurons with GELU and W of 2 x 3. Neuron 0 has zero incoming weights and
the bias 1, so x_0 = gelu(1) = 0.84 for every token; neuron 1 has a zero column; neuron 2 stays:

    W = 2 0 3    b = 1        →        W = 3    b = 1 + 2 · 0.84 = 2.68
        0 0 5        0                     5        0

A head is empty if each of its channels is, and heads that share keys and values are removed
together. The smaller model gives the outputs of the sparse one. This is where block movement
pruning becomes fast: `sparsify` with the pattern `hybrid`, then this step.

Legend: O out, C channels, H heads, G groups of heads that share keys and values.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.calibrate.texts import training_texts
from leanformer.core.machine.device import device_of, inputs_on
from leanformer.core.proof import Proof, require
from leanformer.core.ranges import Count, Length
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.sameness import dev_outputs, same_outputs
from leanformer.models.anatomy import Anatomy, require_prunable
from leanformer.models.anatomy.channels import weight_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.prune.structured.proof import prove_smaller

_NOISE = 1e-4  # fp32 sums are in another order; relative to the largest output


@technique("drop-empty", paper="Lagunas et al. 2021, arXiv:2109.04838")
class DropEmpty(Step):
    """Remove the heads and neurons that pruning emptied: sparsity becomes speed."""

    multiple: Count = 8
    """FFN widths stay multiples of this; a few empty neurons are kept if necessary."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens when outputs are compared."""

    def apply(self, workspace: Workspace) -> Workspace:
        """Remove empty heads and neurons in place.

        Raises:
            ValueError: The architecture is unknown, the model is quantized, or nothing in it is
                empty. Nothing was changed.
            NoEffect: The model is not smaller and faster, or its outputs changed.
        """
        model = workspace.model
        anatomy = require_prunable(model)
        layers = list(anatomy.layers(model))
        heads = [_heads_to_keep(anatomy, layer) for layer in layers]
        neurons = [_neurons_to_keep(anatomy, layer, self.multiple) for layer in layers]
        counts = [(anatomy.heads(layer), anatomy.ffn_width(layer)) for layer in layers]
        if all((len(h), len(n)) == c for h, n, c in zip(heads, neurons, counts, strict=True)):
            raise ValueError(
                "drop-empty: no head and no neuron is empty; put sparsify with the pattern hybrid "
                "before it, or use shrink, which removes what matters least"
            )
        before = copy.deepcopy(model)
        outputs = dev_outputs(workspace, model, self.max_length)
        self._fold_constants(workspace, anatomy, layers, heads, neurons)
        keep_heads(model, heads)
        keep_neurons(model, neurons)
        proofs = [
            *_prove_counts(heads, neurons, counts),
            *prove_smaller(before, model),
            same_outputs(
                outputs, dev_outputs(workspace, model, self.max_length), "cutting", noise=_NOISE
            ),
        ]
        return workspace.with_(proofs=tuple(require(proofs)))

    @torch.no_grad()
    def _fold_constants(
        self,
        workspace: Workspace,
        anatomy: Anatomy,
        layers: list[Any],
        heads: list[list[int]],
        neurons: list[list[int]],
    ) -> None:
        """Add the constant contribution of removed channels to the bias behind them."""
        points: list[Any] = [anatomy.head_point(layer) for layer in layers]
        points += [anatomy.ffn_point(layer) for layer in layers]
        widths = [anatomy.head_dim(layer) for layer in layers] + [1] * len(layers)
        text = training_texts(workspace, 1, self.max_length)[0]
        inputs = _inputs_of(workspace.model, points, text)
        for point, kept, width, input_C in zip(
            points, [*heads, *neurons], widths, inputs, strict=True
        ):
            stays_C = torch.zeros(len(input_C), dtype=torch.bool, device=input_C.device)
            for unit in kept:
                stays_C[unit * width : (unit + 1) * width] = True
            constant_O = weight_of(point)[:, ~stays_C] @ input_C[~stays_C]
            if point.bias is not None:
                point.bias.data += constant_O


def _heads_to_keep(anatomy: Anatomy, layer: Any) -> list[int]:
    """The heads of a layer that are not empty, and those that share keys with one; at least one."""
    width, count, groups = anatomy.head_dim(layer), anatomy.heads(layer), anatomy.kv_heads(layer)
    point = anatomy.head_point(layer)
    written_H = _nonzero(weight_of(point), 0).reshape(count, width).any(1)
    values = layer.get_submodule(anatomy.projections[-1])
    read_C = _nonzero(weight_of(values), 1)[-groups * width :]  # values come last where fused
    read_H = read_C.reshape(groups, width).any(1).repeat_interleave(count // groups)
    if point.bias is None and values.bias is not None:
        read_H |= True  # the constant x_c has no bias to be added to
    full_G = (written_H & read_H).reshape(groups, -1).any(1)
    full_H = full_G.repeat_interleave(count // groups)
    return full_H.nonzero().flatten().tolist() or list(range(count // groups))


def _neurons_to_keep(anatomy: Anatomy, layer: Any, multiple: int) -> list[int]:
    """The neurons of a layer that are not empty, and empty ones up to a multiple."""
    point, count = anatomy.ffn_point(layer), anatomy.ffn_width(layer)
    full = _nonzero(weight_of(point), 0)
    modules: list[Any] = [layer.get_submodule(path) for path in anatomy.ffn_in]
    biased = any(module.bias is not None for module in modules)
    gated = anatomy.stacked * len(modules) > 1
    # Without incoming weights x_c is 0 if there are no biases. With biases it is a constant, which
    # needs a bias behind it; a gate would multiply it with a value that depends on the token.
    if not biased or (not gated and point.bias is not None):
        for module in modules:
            for part in _nonzero(weight_of(module), 1).reshape(anatomy.stacked, count):
                full = full & part
    missing = -int(full.sum()) % multiple or (0 if full.any() else multiple)
    empty = (~full).nonzero().flatten()[: min(missing, count)]
    full[empty] = True
    return full.nonzero().flatten().tolist()


def _nonzero(weight_OI: Tensor, dim: int) -> Tensor:
    """Which columns (`dim` 0) or rows (`dim` 1) of a weight have a value that is not zero."""
    return (weight_OI.detach() != 0).any(dim).cpu()


def _inputs_of(model: Any, points: list[Any], text: dict[str, Tensor]) -> list[Tensor]:
    """The input x of each output projection at the first token of a text, [C]."""
    found: dict[int, Tensor] = {}

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[id(module)] = inputs[0].detach().reshape(-1, inputs[0].shape[-1])[0]

    handles = [point.register_forward_pre_hook(look) for point in points]
    training = model.training
    model.eval()
    try:
        model(**inputs_on(device_of(model), text))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return [found[id(point)] for point in points]


def _prove_counts(
    heads: list[list[int]], neurons: list[list[int]], counts: list[tuple[int, int]]
) -> list[Proof]:
    """How many heads and neurons there were and are; not proofs of an effect on their own."""
    kept = {"attention heads": heads, "FFN neurons": neurons}
    return [
        Proof(
            claim=claim,
            before=sum(count[index] for count in counts),
            after=sum(map(len, units)),
            unit="",
            ok=True,
            note=", ".join(str(len(one)) for one in units) + " by layer",
        )
        for index, (claim, units) in enumerate(kept.items())
    ]
