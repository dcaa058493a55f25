"""Reverse KL: the student says only what the teacher finds likely, and leaves out the rest.

    L = T^2 KL( softmax(z_s / T) || softmax(z_t / T) )

Soft targets spread a small student over all that the teacher might say; this one lets it choose,
which suits decoders. The factor T^2 keeps the size of the gradient as T grows.

Legend: T temperature, N examples or tokens, C class.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.distill.comparisons.divergence import Divergence
from leanformer.distill.objectives.soft_targets import soft_targets


def reverse_kl(student_NC: Tensor, teacher_NC: Tensor, temperature: float = 1.0) -> Tensor:
    """The divergence averaged over N, in nats; classes are summed; 0 where there is no N.

    Args:
        student_NC: Logits of the student.
        teacher_NC: Logits of the teacher.
        temperature: Divides both.
    """
    return soft_targets(teacher_NC, student_NC, temperature)


@technique("reverse-kl", paper="Gu et al. 2024 (MiniLLM), arXiv:2306.08543")
class ReverseKl(Divergence):
    """Match the teacher's likeliest outputs: for decoders much smaller than the teacher."""

    def between(self, student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
        """See `reverse_kl`."""
        return reverse_kl(student_NC, teacher_NC, self.temperature)
