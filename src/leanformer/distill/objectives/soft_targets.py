"""Soft targets: the student learns the teacher's whole distribution, not only its first choice.

    L = T^2 KL( softmax(z_t / T) || softmax(z_s / T) )

The factor T^2 keeps the size of the gradient as T grows: dL/dz_s = T (p_s - p_t).

Legend: T temperature, N examples or tokens, C class.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.distill.positions import Tokens, compared
from leanformer.numerics.widen import widened
from leanformer.train.loss import Unit


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
class SoftTargets(Objective):
    """Match the teacher's softened class probabilities: the first choice for any classifier."""

    temperature: float = 1.0
    """Divides both logits; higher shows more of what the teacher finds nearly right."""
    tokens: Tokens = "real"
    """Where the model has logits for each token: compare all but padding, or only those with a
    label, such as the masked ones."""
    weight: float = 1.0
    """Factor in the sum of objectives."""

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature: {self.temperature} is not positive")

    @property
    def unit(self) -> Unit | Literal["output"]:
        """Targets where only they are compared."""
        return "target" if self.tokens == "masked" else "output"

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _SoftTargets(self.temperature, self.tokens)


class _SoftTargets(nn.Module):
    def __init__(self, temperature: float, tokens: Tokens) -> None:
        super().__init__()
        self.temperature, self.tokens = temperature, tokens

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        return soft_targets(*compared(student, teacher, labels, self.tokens), self.temperature)
