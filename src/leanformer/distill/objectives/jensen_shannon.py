"""Jensen-Shannon: student and teacher are both compared with a mixture of the two.

    L = T^2 ( beta KL(p || m) + (1 - beta) KL(q || m) )        m = beta p + (1 - beta) q

p = softmax(z_t / T) is the teacher's distribution and q the student's. Near beta = 0 the gradient
is that of soft targets, near 1 that of reverse KL, each times the small factor beta or 1 - beta;
between them the loss is bounded, whatever the teacher finds impossible. The factor T^2 keeps the
size of the gradient as T grows.

Legend: T temperature, N examples or tokens, C class.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.core.ranges import InnerShare
from leanformer.core.technique import technique
from leanformer.distill.comparisons.divergence import Divergence
from leanformer.numerics.widen import widened


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
class JensenShannon(Divergence):
    """Match a mixture of both: between soft targets and reverse KL, and bounded."""

    beta: InnerShare = 0.5
    """The teacher's share of the mixture: near 0 like soft targets, near 1 like reverse KL."""

    def between(self, student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
        """See `jensen_shannon`."""
        return jensen_shannon(student_NC, teacher_NC, self.beta, self.temperature)
