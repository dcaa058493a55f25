"""Multi-label classification: binary cross entropy of each label for itself.

Legend: B batch, L label.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.train.tasks.binary_cross_entropy import binary_cross_entropy_sum
from leanformer.train.tasks.interface import TaskLoss


@technique("multi-label", paper="")
class MultiLabelLoss(TaskLoss):
    """Binary cross entropy of each label for itself; a target is a text's label, there or not."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, L] and labels [B, L], in nats."""
        return binary_cross_entropy_sum(logits, labels)
