"""Cross entropy of classes that exclude each other, summed over the labelled targets.

    L = - sum_n  log softmax(z_n)[y_n]          over the n with y_n != IGNORE

Legend: N text or token, C class.
"""

from torch import Tensor
from torch.nn import functional as F

from leanformer.numerics.widen import widened
from leanformer.tasks import IGNORE


def cross_entropy_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """In nats, of logits [..., C] and labels [...]."""
    return F.cross_entropy(
        widened(logits).flatten(0, -2), labels.flatten(), ignore_index=IGNORE, reduction="sum"
    )
