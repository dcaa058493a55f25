"""Classification: cross entropy of the text's class.

Legend: B batch, C class.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.train.tasks.cross_entropy import cross_entropy_sum
from leanformer.train.tasks.interface import TaskLoss


@technique("classification", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class ClassificationLoss(TaskLoss):
    """Cross entropy of the text's class."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, C] and labels [B], in nats."""
        return cross_entropy_sum(logits, labels)
