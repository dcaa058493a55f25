"""Structured pruning, as a step: layers, heads and FFN neurons are removed physically.

Zeros in a dense matrix save no time on today's hardware; a smaller matrix does. The step proves
that parameters, bytes, FLOPs and the measured time of the model all fall.
"""

import copy
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.calibrate.statistics import gather
from leanformer.core.proof import require
from leanformer.core.ranges import Count, Index, Length, Share
from leanformer.core.step import Sketch, Step
from leanformer.core.technique import technique
from leanformer.core.workspace import Workspace
from leanformer.data import Batch, encode_examples
from leanformer.models.anatomy import anatomy_of
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.prune.criteria.interface import UnitCriterion
from leanformer.prune.criteria.units import Taylor
from leanformer.prune.structured.allocation import allocate
from leanformer.prune.structured.depth import measured_layers, spaced_layers
from leanformer.prune.structured.proof import prove_smaller, prove_units
from leanformer.tasks import kind_named
from leanformer.train.batches import shuffled
from leanformer.train.evaluate import head_output
from leanformer.train.loss import Supervised

_LOOKED_AT = 8  # batches on which layers are chosen


@technique(
    "shrink", paper="Michel et al. 2019, arXiv:1905.10650; Sanh et al. 2019, arXiv:1910.01108"
)
class Shrink(Step):
    """Remove layers, attention heads and FFN neurons: fewer of everything, at any precision."""

    layers: Count | tuple[Index, ...] | None = None
    """Layers to keep: how many, or which; None = all."""
    depth: Literal["spaced", "measured"] = "spaced"
    """How a number of layers is chosen: "spaced" evenly, best if a training follows; "measured" by
    the smallest change of the outputs, best if none does."""
    heads: Share = 1.0
    """Share of the attention heads to keep."""
    ffn: Share = 1.0
    """Share of the FFN neurons to keep."""
    criterion: UnitCriterion = Taylor()
    """How much a head or neuron matters."""
    spread: Literal["uniform", "global"] = "uniform"
    """Whether every layer keeps the same share, or the model keeps its best units."""
    multiple: Count = 32
    """FFN widths are rounded to this."""
    batches: Count = 32
    """Batches of training texts for the statistics of the criterion."""
    max_length: Length = 128
    """Longer texts are cut to this many tokens."""

    def __post_init__(self) -> None:
        if self.layers is None and self.heads == 1 and self.ffn == 1:
            raise ValueError(
                "shrink: layers, heads and ffn all keep everything; name what to remove"
            )

    def foresee(self, sketch: Sketch) -> Sketch:
        """See `Step.foresee`: the layers are there; the model is cut as it will be in shape."""
        model = sketch.model
        if model is None:
            return sketch
        total = len(anatomy_of(model).layers(model))
        if isinstance(self.layers, int):
            self._check_count(self.layers, total)
        if self.layers is not None:
            keep_layers(model, range(self.layers) if isinstance(self.layers, int) else self.layers)
        shape = shape_of(model)
        if self.spread == "global" or shape.heads != shape.kv_heads:
            even = self.heads == self.ffn == 1
            return sketch if even else replace(sketch, model=None)
        with torch.device("cpu"):
            heads = allocate([torch.zeros(n) for n in shape.heads], self.heads, 1, self.spread)
            neurons = allocate(
                [torch.zeros(n) for n in shape.ffn], self.ffn, self.multiple, self.spread
            )
        if self.heads < 1:
            keep_heads(model, heads)
        if self.ffn < 1:
            keep_neurons(model, neurons)
        return sketch

    def apply(self, workspace: Workspace) -> Workspace:
        """Shrink the model in place.

        Raises:
            ValueError: The architecture is unknown, the model does not have these layers, or the
                criterion needs labels and the task has none.
            NoEffect: The model did not become smaller and faster.
        """
        model = workspace.model
        anatomy = anatomy_of(model)
        total = len(anatomy.layers(model))
        self._check_labels(workspace.dataset.task.kind)
        batches = self._batches(workspace)
        kept = self._layers(model, batches, workspace.dataset.task.kind, total)
        before = copy.deepcopy(model)
        # Scored in the whole model: with layers missing, gradients tell of a model that errs.
        cut = self.heads < 1 or self.ffn < 1
        units = self._units(model, batches, workspace.dataset.task.kind, kept) if cut else None
        if len(kept) < total:
            keep_layers(model, kept)
        if units is not None:
            heads, neurons = units
            if self.heads < 1:
                keep_heads(model, heads)
            if self.ffn < 1:
                keep_neurons(model, neurons)
        proofs = prove_units(
            shape_of(before), shape_of(model), kept, self.heads, self.ffn, self.multiple
        )
        return workspace.with_(proofs=tuple(require([*proofs, *prove_smaller(before, model)])))

    def _layers(self, model: nn.Module, batches: list[Batch], kind: Any, total: int) -> list[int]:
        if self.layers is None:
            return list(range(total))
        if isinstance(self.layers, int):
            self._check_count(self.layers, total)
            if self.depth == "spaced":
                return spaced_layers(self.layers, total)
            return measured_layers(model, batches[:_LOOKED_AT], kind, self.layers, total)
        return list(self.layers)

    def _check_count(self, layers: int, total: int) -> None:
        if layers > total:
            raise ValueError(f"layers: {layers} of the model's {total} cannot be kept")

    def _check_labels(self, kind: Any) -> None:
        scored = self.heads < 1 or self.ffn < 1
        if scored and self.criterion.needs_labels and not kind_named(kind).has_targets:
            name = self.criterion.technique  # type: ignore[attr-defined]
            raise ValueError(
                f"criterion: {name} needs labels and a task of kind {kind} has none; use activation"
            )

    def _batches(self, workspace: Workspace) -> list[Batch]:
        """The texts that decide what stays."""
        dataset = workspace.dataset
        encoded = encode_examples(
            dataset.train, workspace.tokenizer, dataset.task.kind, self.max_length
        )
        order = shuffled(encoded, 32, workspace.seed)[: self.batches]
        return [encoded.batch(indices) for indices in order]

    def _units(
        self, model: nn.Module, batches: list[Batch], kind: Any, kept: list[int]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Heads and neurons to keep in each layer that stays."""
        heads, neurons = (
            [self.criterion.score(of_layer[layer]) for layer in kept]
            for of_layer in gather(model, batches, _loss(kind))
        )
        return (
            allocate(heads, self.heads, 1, self.spread),
            allocate(neurons, self.ffn, self.multiple, self.spread),
        )


def _loss(kind: Any) -> Any:
    """The scalar of the pass: the task's loss, or without labels the size of the output."""
    if kind_named(kind).has_targets:
        return Supervised(kind).mean

    def size(model: nn.Module, batch: Batch) -> Tensor:
        vectors: Tensor = head_output(model, batch.inputs, kind)
        return torch.linalg.vector_norm(vectors[:, 0])

    return size
