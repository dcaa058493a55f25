"""What sparsity emptied is removed physically: heads and neurons without weights.

A neuron, or a channel of a head, reaches the layer only through its column of the matrix behind it
(`models.anatomy`). It does nothing when that column is zero; and when the weights before it are
zero it always says the same, which belongs into the bias:

    column of W zero           out loses nothing
    rows before it zero        b ← b + W[:, c] x_c,   x_c the same for every token

So the smaller model says what the sparse one said. This is where block movement pruning becomes
fast: `sparsify` with the pattern `hybrid`, then this step.

Legend: O out, C channels.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.calibrate.texts import training_texts
from leanformer.core.proof import Proof, require
from leanformer.core.step import Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.measure.sameness import dev_outputs, same_outputs
from leanformer.models.anatomy import Anatomy, cuttable
from leanformer.models.channels import weight_of
from leanformer.models.ffn import keep_neurons
from leanformer.models.heads import keep_heads
from leanformer.prune.structured.proof import prove_smaller

_NOISE = 1e-4  # of fp32 sums in another order, relative to the largest output


@technique("drop-empty", paper="Lagunas et al. 2021, arXiv:2109.04838")
class DropEmpty(Step):
    """Remove the heads and neurons that pruning emptied: sparsity becomes speed."""

    multiple: int = 8
    """FFN widths stay multiples of this, with a few empty neurons if need be."""
    max_length: int = 128
    """Longer texts are cut to this many tokens where outputs are compared."""

    def __post_init__(self) -> None:
        if self.multiple < 1:
            raise ValueError(f"multiple: {self.multiple} is not at least 1")

    def apply(self, workspace: Workspace) -> Workspace:
        """Cut the model, in place.

        Raises:
            ValueError: The architecture is not known, the model rounds, or nothing in it is empty.
            NoEffect: The model is no smaller or slower, or says something else.
        """
        model = workspace.model
        anatomy = cuttable(model)
        layers = list(anatomy.layers(model))
        heads = [_full_heads(anatomy, layer) for layer in layers]
        neurons = [_full_neurons(anatomy, layer, self.multiple) for layer in layers]
        counts = [(anatomy.heads(layer), anatomy.ffn_width(layer)) for layer in layers]
        if all((len(h), len(n)) == c for h, n, c in zip(heads, neurons, counts, strict=True)):
            raise ValueError(
                "drop-empty: no head and no neuron is empty; put sparsify with the pattern hybrid "
                "before, or use shrink, which removes what matters least"
            )
        before = copy.deepcopy(model)
        said = dev_outputs(workspace, model, self.max_length)
        self._fold(workspace, anatomy, layers, heads, neurons)
        keep_heads(model, heads)
        keep_neurons(model, neurons)
        proofs = [
            *_counted(heads, neurons, counts),
            *prove_smaller(before, model),
            same_outputs(
                said, dev_outputs(workspace, model, self.max_length), "cutting", noise=_NOISE
            ),
        ]
        return workspace.with_(proofs=tuple(require(proofs)))

    @torch.no_grad()
    def _fold(
        self,
        workspace: Workspace,
        anatomy: Anatomy,
        layers: list[Any],
        heads: list[list[int]],
        neurons: list[list[int]],
    ) -> None:
        """Put what empty channels always say into the bias behind them."""
        points: list[Any] = [anatomy.head_point(layer) for layer in layers]
        points += [anatomy.ffn_point(layer) for layer in layers]
        widths = [anatomy.head_dim(layer) for layer in layers] + [1] * len(layers)
        text = training_texts(workspace, 1, self.max_length)[0]
        for point, kept, width, said_C in zip(
            points, [*heads, *neurons], widths, _inputs(workspace.model, points, text), strict=True
        ):
            stays_C = torch.zeros(len(said_C), dtype=torch.bool)
            for unit in kept:
                stays_C[unit * width : (unit + 1) * width] = True
            lost_O = weight_of(point)[:, ~stays_C] @ said_C[~stays_C]
            if point.bias is not None:
                point.bias.data += lost_O


def _full_heads(anatomy: Anatomy, layer: Any) -> list[int]:
    """The heads of a layer that do something, or share keys with one that does; one at least."""
    width, count, groups = anatomy.head_dim(layer), anatomy.heads(layer), anatomy.kv_heads(layer)
    point = anatomy.head_point(layer)
    written_H = _nonzero(weight_of(point), 0).reshape(count, width).any(1)
    values = layer.get_submodule(anatomy.projections[-1])
    read_C = _nonzero(weight_of(values), 1)[-groups * width :]  # values come last where all are one
    read_H = read_C.reshape(groups, width).any(1).repeat_interleave(count // groups)
    if point.bias is None and values.bias is not None:
        read_H |= True  # what they always say would have no place
    full_G = (written_H & read_H).reshape(groups, -1).any(1)
    full_H = full_G.repeat_interleave(count // groups)
    return full_H.nonzero().flatten().tolist() or list(range(count // groups))


def _full_neurons(anatomy: Anatomy, layer: Any, multiple: int) -> list[int]:
    """The neurons of a layer that do something, filled up to a multiple."""
    point, count = anatomy.ffn_point(layer), anatomy.ffn_width(layer)
    full = _nonzero(weight_of(point), 0)
    modules: list[Any] = [layer.get_submodule(path) for path in anatomy.ffn_in]
    biased = any(module.bias is not None for module in modules)
    gated = anatomy.stacked * len(modules) > 1
    # With biases an empty row still says something: always the same, unless a gate multiplies it.
    if not biased or (not gated and point.bias is not None):
        for module in modules:
            for part in _nonzero(weight_of(module), 1).reshape(anatomy.stacked, count):
                full = full & part
    missing = -int(full.sum()) % multiple or (0 if full.any() else multiple)
    empty = (~full).nonzero().flatten()[: min(missing, count)]
    full[empty] = True
    return full.nonzero().flatten().tolist()


def _nonzero(weight_OI: Tensor, dim: int) -> Tensor:
    return (weight_OI.detach() != 0).any(dim).cpu()


def _inputs(model: Any, points: list[Any], text: dict[str, Tensor]) -> list[Tensor]:
    """What goes into each point at the first token of a text, [C]."""
    found: dict[int, Tensor] = {}

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found[id(module)] = inputs[0].detach().reshape(-1, inputs[0].shape[-1])[0]

    handles = [point.register_forward_pre_hook(look) for point in points]
    training = model.training
    model.eval()
    try:
        model(**text)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return [found[id(point)] for point in points]


def _counted(
    heads: list[list[int]], neurons: list[list[int]], counts: list[tuple[int, int]]
) -> list[Proof]:
    kept = {"attention heads": heads, "FFN neurons": neurons}
    return [
        Proof(
            claim=claim,
            before=sum(count[place] for count in counts),
            after=sum(map(len, units)),
            unit="",
            ok=True,
            note=", ".join(str(len(one)) for one in units) + " by layer",
        )
        for place, (claim, units) in enumerate(kept.items())
    ]
