"""Mean squared error on logits: soft targets in the limit of high temperature, and the form for
regression.

    L = mean_C (z_s - z_t)^2

Legend: N examples or tokens, C class.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.numerics.widen import widened


def logit_error(student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
    """Squared difference of logits, averaged over examples and classes."""
    return F.mse_loss(widened(student_NC), widened(teacher_NC))


@technique("logits", paper="Ba & Caruana 2014, arXiv:1312.6184")
class Logits(Objective):
    """Match the teacher's raw outputs: for regression, and for classes where confidence matters."""

    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _Logits()


class _Logits(nn.Module):
    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        ours, theirs = student.logits, teacher.logits
        if ours.dim() == 3:
            ours, theirs = ours[student.keep], theirs[teacher.keep]
        return logit_error(ours, theirs)
