"""Ranking: binary cross entropy of the probability that a text is relevant to its query.

Grades between 0 and 1 are probabilities: the largest grade is 1.

Legend: B batch.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.train.tasks.binary_cross_entropy import binary_cross_entropy_sum
from leanformer.train.tasks.interface import TaskLoss


@technique("ranking", paper="Nogueira & Cho 2019, arXiv:1901.04085")
class RankingLoss(TaskLoss):
    """Binary cross entropy of each query and text by itself, as cross-encoders are trained."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, 1] and grades [B] between 0 and 1, in nats."""
        return binary_cross_entropy_sum(logits.squeeze(-1), labels)
