"""Reverse KL: the student says only what the teacher finds likely, and leaves out the rest.

    L = T^2 KL( softmax(z_s / T) || softmax(z_t / T) )

Soft targets spread a small student over all that the teacher might say; this one lets it choose,
which suits decoders. The factor T^2 keeps the size of the gradient as T grows.

Legend: T temperature, N examples or tokens, C class.
"""

from typing import Literal

from torch import Tensor, nn

from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.distill.objectives.soft_targets import soft_targets
from leanformer.distill.positions import Tokens, compared
from leanformer.train.loss import Unit


def reverse_kl(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0) -> Tensor:
    """The divergence averaged over N, in nats; classes are summed; 0 where there is no N.

    Args:
        student_NC: Logits of the student.
        teacher_NC: Logits of the teacher.
        temperature: Divides both.
    """
    return soft_targets(teacher_NC, student_NC, temperature)


@technique("reverse-kl", paper="Gu et al. 2024 (MiniLLM), arXiv:2306.08543")
class ReverseKl(Objective):
    """Match the likeliest of what the teacher says: for decoders much smaller than the teacher."""

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
        return _ReverseKl(self.temperature, self.tokens)


class _ReverseKl(nn.Module):
    def __init__(self, temperature: float, tokens: Tokens) -> None:
        super().__init__()
        self.temperature, self.tokens = temperature, tokens

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        return reverse_kl(*compared(student, teacher, labels, self.tokens), self.temperature)
