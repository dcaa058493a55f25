"""Masked language modelling: cross entropy of the hidden tokens.

Legend: B batch, T token, V vocabulary.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.train.tasks.cross_entropy import cross_entropy_sum
from leanformer.train.tasks.interface import TaskLoss


@technique("masked-lm", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class MaskedLmLoss(TaskLoss):
    """Cross entropy of the hidden tokens."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, T, V] and labels [B, T], in nats."""
        return cross_entropy_sum(logits, labels)
