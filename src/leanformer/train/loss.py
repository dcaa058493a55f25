"""What the loop minimizes: a sum of weighted terms, each a mean over its own unit.

A batch that is passed in parts must give the gradient of the whole. A mean of means does not
(parts have different numbers of tokens), so a term says what it is averaged over, and the loop
weighs each part by its share:

    loss = sum_term  weight  sum_part  mean_part  count_part / count_whole
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.data import IGNORE, Batch
from leanformer.numerics.widen import widened
from leanformer.train.tasks import loss_of

Unit = Literal["example", "token", "target"]


@dataclass(frozen=True)
class Term:
    """One part of a loss.

    Attributes:
        name: How logs call it.
        mean: Scalar, averaged over `unit`.
        weight: Its factor in the sum.
        unit: What the mean is over: examples, real tokens, or labelled targets.
    """

    name: str
    mean: Tensor
    weight: float = 1.0
    unit: Unit = "target"


class Loss(nn.Module):
    """Maps a model and a batch to terms; may hold parameters of its own, which are trained too."""

    def prepared(self, batch: Batch) -> Batch:
        """What the model is shown instead of `batch`: chance may hide or swap tokens here, before
        the units of the batch are counted.
        """
        return batch

    def identity(self) -> dict[str, Any]:
        """The settings that tell this loss from another of its class, as JSON values; a digest
        stands for what is large. Its parameters count anyway.
        """
        return {}

    def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
        """The terms of a batch that was prepared."""
        raise NotImplementedError


def count(batch: Batch, unit: Unit) -> int:
    """How many units `batch` holds."""
    if unit == "token":
        return batch.tokens
    if unit == "target" and batch.labels is not None:
        known = (
            ~batch.labels.isnan() if batch.labels.is_floating_point() else batch.labels != IGNORE
        )
        return int(known.sum())
    return len(batch.index)


class Supervised(Loss):
    """What the task says of outputs and labels (`train.tasks`), averaged over the labels."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def identity(self) -> dict[str, Any]:
        """The kind of task."""
        return {"task": self.kind}

    def forward(self, model: nn.Module, batch: Batch) -> list[Term]:
        """One term, averaged over the labelled targets."""
        assert batch.labels is not None, "supervised training needs labels"
        logits = model(**batch.inputs).logits
        return [Term("labels", against_labels(logits, batch.labels, self.kind))]


def against_labels(logits: Tensor, labels: Tensor, kind: str) -> Tensor:
    """Mean loss of logits [B, C] or [B, T, C] over the labelled targets; 0 where there are none."""
    loss = loss_of(kind)
    return loss.total(logits, labels) / loss.known(labels).sum().clamp(min=1)


def merged(terms: list[Term], batch: Batch, whole: dict[str, int]) -> Tensor:
    """The scalar whose gradient is this part's share of the whole batch's gradient."""
    shares = [
        term.weight * term.mean * (count(batch, term.unit) / max(1, whole[term.unit]))
        for term in terms
    ]
    total: Any = torch.stack([widened(share) for share in shares]).sum()
    return total
