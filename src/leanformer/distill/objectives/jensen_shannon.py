"""Jensen-Shannon: student and teacher are both compared with a mixture of the two.

    L = T^2 ( beta KL(p || m) + (1 - beta) KL(q || m) )        m = beta p + (1 - beta) q

p = softmax(z_t / T) is the teacher's distribution and q the student's. Near beta = 0 the gradient
is that of soft targets, near 1 that of reverse KL, each times the small factor beta or 1 - beta;
between them the loss is bounded, whatever the teacher finds impossible. The factor T^2 keeps the
size of the gradient as T grows.

Legend: T temperature, N examples or tokens, C class.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.distill.positions import Tokens, compared
from leanformer.numerics.widen import widened
from leanformer.train.loss import Unit


def jensen_shannon(
    student_NC: Tensor, teacher_NC: Tensor, beta: float = 0.5, temperature: float = 1.0
) -> Tensor:
    """The divergence averaged over N, in nats; classes are summed; 0 where there is no N.

    Args:
        student_NC: Logits of the student.
        teacher_NC: Logits of the teacher.
        beta: The teacher's share of the mixture, between 0 and 1.
        temperature: Divides both.
    """
    log_q = F.log_softmax(widened(student_NC) / temperature, dim=-1)
    log_p = F.log_softmax(widened(teacher_NC) / temperature, dim=-1)
    log_m = torch.logaddexp(log_p + math.log(beta), log_q + math.log1p(-beta))
    p_m = F.kl_div(log_m, log_p, reduction="sum", log_target=True)
    q_m = F.kl_div(log_m, log_q, reduction="sum", log_target=True)
    return (beta * p_m + (1 - beta) * q_m) * temperature**2 / max(1, len(student_NC))


@technique("jensen-shannon", paper="Agarwal et al. 2024 (GKD), arXiv:2306.13649")
class JensenShannon(Objective):
    """Match a mixture of both: between soft targets and reverse KL, and bounded."""

    beta: float = 0.5
    """The teacher's share of the mixture: near 0 like soft targets, near 1 like reverse KL."""
    temperature: float = 1.0
    """Divides both logits; higher shows more of what the teacher finds nearly right."""
    tokens: Tokens = "real"
    """Where the model has logits for each token: compare all but padding, or only those with a
    label, such as the masked ones."""
    weight: float = 1.0
    """Factor in the sum of objectives."""

    def __post_init__(self) -> None:
        if not 0 < self.beta < 1:
            raise ValueError(
                f"beta: {self.beta} is not between 0 and 1; at the ends use soft-targets or "
                "reverse-kl"
            )
        if self.temperature <= 0:
            raise ValueError(f"temperature: {self.temperature} is not positive")

    @property
    def unit(self) -> Unit | Literal["output"]:
        """Targets where only they are compared."""
        return "target" if self.tokens == "masked" else "output"

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        return _JensenShannon(self.beta, self.temperature, self.tokens)


class _JensenShannon(nn.Module):
    def __init__(self, beta: float, temperature: float, tokens: Tokens) -> None:
        super().__init__()
        self.beta, self.temperature, self.tokens = beta, temperature, tokens

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        ours, theirs = compared(student, teacher, labels, self.tokens)
        return jensen_shannon(ours, theirs, self.beta, self.temperature)
