"""Gold labels beside the teacher: cross entropy, or squared error for numbers.

Examples of the transfer set carry no label (IGNORE, or NaN for numbers) and have no share in the
mean.

Legend: B batch, T token, C class.
"""

from torch import Tensor, nn

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.train.loss import against_labels


@technique("labels", paper="Hinton et al. 2015, arXiv:1503.02531")
class Labels(Objective):
    """Learn from the gold labels too: useful where the teacher is often wrong."""

    unit = "target"

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _Labels(student.kind)


class _Labels(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        if labels is None:
            return student.logits.sum() * 0.0  # a batch of the transfer set: no label, no gradient
        kind = self.kind or ("regression" if labels.is_floating_point() else "classification")
        return against_labels(student.logits, labels, kind)
