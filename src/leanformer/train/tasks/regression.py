"""Regression: squared error of the one number that the head says.

    L = sum_b (z_b - y_b)²          over the b with a number

Legend: B batch.
"""

from torch import Tensor
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.numerics.widen import widened
from leanformer.train.tasks.interface import TaskLoss


@technique("regression", paper="")
class RegressionLoss(TaskLoss):
    """Squared error of a number."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, 1] and labels [B]."""
        known = self.known(labels)
        scores = widened(logits.squeeze(-1)[known])
        return F.mse_loss(scores, labels[known].to(scores.dtype), reduction="sum")
