"""Soft targets: the student learns the teacher's whole distribution, not only its first choice.

    L = T^2 KL( softmax(z_t / T) || softmax(z_s / T) )

The factor T^2 keeps the size of the gradient as T grows: dL/dz_s = T (p_s - p_t).

Legend: T temperature, N examples or tokens, C class.
"""

from torch import Tensor
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.distill.comparisons.divergence import Divergence
from leanformer.numerics.widen import widened


def soft_targets(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0) -> Tensor:
    """The divergence averaged over N, in nats; classes are summed; 0 where there is no N.

    Args:
        student_NC: Logits of the student.
        teacher_NC: Logits of the teacher.
        temperature: Divides both.
    """
    log_student = F.log_softmax(widened(student_NC) / temperature, dim=-1)
    log_teacher = F.log_softmax(widened(teacher_NC) / temperature, dim=-1)
    total = F.kl_div(log_student, log_teacher, reduction="sum", log_target=True)
    return total * temperature**2 / max(1, len(student_NC))


@technique("soft-targets", paper="Hinton et al. 2015, arXiv:1503.02531")
class SoftTargets(Divergence):
    """Match the teacher's softened class probabilities: the first choice for any classifier."""

    def between(self, student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
        """See `soft_targets`."""
        return soft_targets(student_NC, teacher_NC, self.temperature)
