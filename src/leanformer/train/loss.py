"""What the loop minimizes: a sum of weighted terms, each a mean over its own unit.

    loss = sum_term  weight  total_term / count_unit

A batch that passes through the model in parts must give the gradient of the whole, and a mean of
means does not: parts have different numbers of tokens. So a term is a *sum* over its unit, a loss
counts the units of a part, and the loop divides by the count of the whole batch. One pass is
three steps, because a pipeline or a cached gradient needs them apart:

    outputs(model, batch, carry)     what the model says, with gradients
    terms(outputs, batch)            sums over units
    counts(batch)                    how many units there are; needs no model

What one step hands to the next (a recurrent memory, a queue of negatives) is one value, the carry.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.data import Batch
from leanformer.models.packed import model_inputs
from leanformer.numerics.widen import widened
from leanformer.train.tasks import loss_of
from leanformer.train.tasks.interface import known_targets

Unit = Literal["example", "token", "target"]
Carry = dict[str, Tensor]
"""Tensors without gradients that one step hands to the next, by name; {} before the first step."""
Counts = dict[str, Tensor]
"""How many units a batch holds, by unit: whole numbers as scalars on the batch's device."""


@dataclass(frozen=True)
class Term:
    """One part of a loss.

    Attributes:
        name: How logs call it.
        total: Scalar, summed over the units of the batch.
        weight: Its factor in the loss.
        unit: What is counted to make a mean of the sum; a key of `Loss.counts`.
    """

    name: str
    total: Tensor
    weight: float = 1.0
    unit: str = "target"


class Loss(nn.Module):
    """Maps a model and a batch to terms; may hold parameters of its own, which are trained too.

    Attributes:
        compilable: Whether all that it looks at is still there in a compiled model.
        additive: Whether the terms of a batch are the sums of those of its parts. A loss that
            compares the examples of a batch with each other is not, and gets each batch whole.
    """

    additive: bool = True
    compilable: bool = True

    def transform_batch(self, batch: Batch) -> Batch:
        """What the model is shown instead of `batch`: chance may hide or swap tokens here, before
        the units of the batch are counted.
        """
        return batch

    def identity(self) -> dict[str, Any]:
        """The settings that tell this loss from another of its class, as JSON values; a digest
        stands for what is large. Its parameters count anyway.
        """
        return {}

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Any:
        """What the model says about a transformed batch; whatever `terms` and `next_carry` read."""
        raise NotImplementedError

    def terms(self, outputs: Any, batch: Batch) -> list[Term]:
        """The terms of a batch, from its `outputs`."""
        raise NotImplementedError

    def counts(self, batch: Batch) -> Counts:
        """How many units `batch` holds: examples, real tokens and labelled targets."""
        return {unit: count(batch, unit) for unit in _UNITS}

    def next_carry(self, outputs: Any, batch: Batch, carry: Carry) -> Carry:
        """The carry with what `batch` adds to it for the next step.

        All microbatches of a step are shown the carry that the step began with; this is called
        after each of them, with what the ones before have made of it.
        """
        return carry

    def forward(self, model: nn.Module, batch: Batch, carry: Carry | None = None) -> list[Term]:
        """The terms of a batch that was transformed."""
        return self.terms(self.outputs(model, batch, carry or {}), batch)

    def mean(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch that stands alone, a scalar."""
        return loss_share(self(model, batch), self.counts(batch))


def loss_share(terms: list[Term], counts: Counts) -> Tensor:
    """What a part adds to the loss of its batch, a scalar.

    Args:
        terms: The terms of the part.
        counts: The units of the whole batch.
    """
    shares = [widened(term.weight * term.total / counts[term.unit].clamp(min=1)) for term in terms]
    return torch.stack(shares).sum()


def detached(carry: Carry) -> Carry:
    """The carry without gradients: what one step hands on is given to the next."""
    return {name: tensor.detach() for name, tensor in carry.items()}


def summed(counts: list[Counts]) -> Counts:
    """The units of a batch, from those of its parts."""
    return {unit: torch.stack([part[unit] for part in counts]).sum() for unit in counts[0]}


_UNITS: tuple[Unit, ...] = ("example", "token", "target")


def count(batch: Batch, unit: Unit) -> Tensor:
    """How many units `batch` holds, a scalar on its device."""
    if unit == "token":
        return batch.inputs["attention_mask"].sum()
    if unit == "target" and batch.labels is not None:
        return known_targets(batch.labels).sum()
    device = next(iter(batch.inputs.values())).device
    return torch.full((), len(batch.index), device=device)


class Supervised(Loss):
    """What the task says of outputs and labels (`train.tasks`)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def identity(self) -> dict[str, Any]:
        """The kind of task."""
        return {"task": self.kind}

    def outputs(self, model: nn.Module, batch: Batch, carry: Carry) -> Tensor:
        """Logits, [B, C] or [B, T, C]."""
        logits: Tensor = model(**model_inputs(batch.inputs, model)).logits
        return logits

    def terms(self, outputs: Tensor, batch: Batch) -> list[Term]:
        """One term, summed over the labelled targets."""
        assert batch.labels is not None, "supervised training needs labels"
        return [Term("labels", loss_of(self.kind).total(outputs, batch.labels))]


def against_labels(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Mean loss of logits [B, C] or [B, T, C] over the labelled targets; 0 where there are none."""
    loss = loss_of(kind)
    return loss.total(logits, labels) / loss.known(labels).sum().clamp(min=1)
