"""The training half of each task: the loss of its outputs against labels, by the task's name.

The other half, which a server needs too, is `leanformer.tasks`.
"""

from typing import Any

from leanformer.core.technique import find
from leanformer.train.tasks.causal_lm import CausalLmLoss
from leanformer.train.tasks.classification import ClassificationLoss
from leanformer.train.tasks.interface import TaskLoss
from leanformer.train.tasks.masked_lm import MaskedLmLoss
from leanformer.train.tasks.multi_label import MultiLabelLoss
from leanformer.train.tasks.ranking import RankingLoss
from leanformer.train.tasks.regression import RegressionLoss
from leanformer.train.tasks.tokens import TokenClassificationLoss

__all__ = [
    "CausalLmLoss",
    "ClassificationLoss",
    "MaskedLmLoss",
    "MultiLabelLoss",
    "RankingLoss",
    "RegressionLoss",
    "TaskLoss",
    "TokenClassificationLoss",
    "loss_of",
]


def loss_of(kind: str) -> TaskLoss:
    """The loss of the task called `kind`.

    Raises:
        ValueError: There is none: an embedding task has no labels.
    """
    found: Any = find(kind, TaskLoss.family)
    loss: TaskLoss = found()
    return loss
