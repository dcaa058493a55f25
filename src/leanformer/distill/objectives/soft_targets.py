"""Soft targets: the student learns the teacher's whole distribution, not only its first choice.

    L = T^2 KL( softmax(z_t / T) || softmax(z_s / T) )

The factor T^2 keeps the size of the gradient as T grows: dL/dz_s = T (p_s - p_t).

Legend: B batch, T token (and, in the equation, temperature), C class.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.numerics.widen import widened


def soft_targets(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0) -> Tensor:
    """The divergence averaged over N, in nats; classes are summed.

    Args:
        student_NC: Logits of the student.
        teacher_NC: Logits of the teacher.
        temperature: Divides both.
    """
    log_student = F.log_softmax(widened(student_NC) / temperature, dim=-1)
    log_teacher = F.log_softmax(widened(teacher_NC) / temperature, dim=-1)
    total = F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return total * temperature**2


@technique("soft-targets", paper="Hinton et al. 2015, arXiv:1503.02531")
class SoftTargets(Objective):
    """Match the teacher's softened class probabilities: the first choice for any classifier."""

    temperature: float = 1.0
    """Divides both logits; higher shows more of what the teacher finds nearly right."""
    weight: float = 1.0
    """Factor in the sum of objectives."""

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature: {self.temperature} is not positive")

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _SoftTargets(self.temperature)


class _SoftTargets(nn.Module):
    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        ours, theirs = student.logits, teacher.logits
        if ours.dim() == 3:  # tokens: every real position, [CLS] and [SEP] included
            ours, theirs = ours[student.keep], theirs[teacher.keep]
        return soft_targets(ours, theirs, self.temperature)
