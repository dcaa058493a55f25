"""The interface of a task's training half: the loss of its head's outputs against labels.

    loss = sum over the known targets of their loss,  and their number

A sum and a count, not a mean: batches are passed in parts, and parts have different numbers of
targets. Targets without a label (IGNORE, NaN) have no share in either.

Legend: B batch, T token, C class, L label.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from leanformer.tasks import IGNORE


def known_targets(labels: Tensor) -> Tensor:
    """True at each target that has a label, in the shape of `labels`: numbers lack one where they
    are NaN, classes where they are IGNORE.
    """
    return ~labels.isnan() if labels.is_floating_point() else labels != IGNORE


class TaskLoss(ABC):
    """How far outputs are from the labels of one task."""

    family: ClassVar[str] = "task-loss"
    technique: ClassVar[str]

    def known(self, labels: Tensor) -> Tensor:
        """See `known_targets`."""
        return known_targets(labels)

    @abstractmethod
    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss summed over the known targets, a scalar; 0 where none is known."""
