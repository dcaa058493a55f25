"""Binary cross entropy of decisions that do not exclude each other, summed over the known targets.

    L = - sum_n  y_n log sigmoid(z_n) + (1 - y_n) log sigmoid(-z_n)          over the n with a y_n

y is 0 or 1, or a probability between them.

Legend: N decision.
"""

from torch import Tensor
from torch.nn import functional as F

from leanformer.numerics.widen import widened
from leanformer.train.tasks.interface import known_targets


def binary_cross_entropy_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """In nats, of logits and labels of one shape; NaN = no label."""
    known = known_targets(labels)
    scores = widened(logits[known])
    return F.binary_cross_entropy_with_logits(
        scores, labels[known].to(scores.dtype), reduction="sum"
    )
