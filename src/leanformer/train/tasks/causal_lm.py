"""Causal language modelling: cross entropy of each next token.

    L = - sum_t  log softmax(z_t)[x_{t+1}]          over the t whose next token is of the same text

Labels are shifted already (`data.encode.next_tokens`): the label at t is token t+1.

Legend: B batch, T token, V vocabulary.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.train.tasks.cross_entropy import cross_entropy_sum
from leanformer.train.tasks.interface import TaskLoss


@technique("causal-lm", paper="Radford et al. 2018 (GPT), OpenAI technical report")
class CausalLmLoss(TaskLoss):
    """Cross entropy of each next token."""

    def total(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Of logits [B, T, V] and labels [B, T], in nats."""
        return cross_entropy_sum(logits, labels)
