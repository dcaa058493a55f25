"""Token classification: cross entropy of each word's label, at its first token.

Legend: B batch, T token, C label.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.train.tasks.cross_entropy import cross_entropy_sum
from leanformer.train.tasks.interface import TaskLoss


@technique("tokens", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class TokenClassificationLoss(TaskLoss):
    """Cross entropy of each word's label, at its first token."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, T, C] and labels [B, T], in nats."""
        return cross_entropy_sum(logits, labels)
