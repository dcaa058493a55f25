"""Divergences: the base of objectives that compare class probabilities of two models.

    L = T^2 D( softmax(z_t / T), softmax(z_s / T) )

Where a task decides about each label for itself (multi-label, ranking), these are the two
probabilities sigmoid(z / T) and sigmoid(-z / T) of each label, and D is summed over the labels, as
the divergence of independent decisions is.

The factor T^2 keeps the gradient's magnitude as T grows. A technique implements its divergence D in
`between`; this base selects the logits to compare.

Legend: T temperature, N examples or tokens, C class.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from leanformer.core.ranges import NotNegative, Positive
from leanformer.distill.comparisons.positions import Tokens, compared
from leanformer.distill.objective import Dims, Objective, Outputs
from leanformer.tasks import kind_named
from leanformer.train.loss import Unit


@dataclass(frozen=True, kw_only=True)
class Divergence(Objective):
    """Compares softened class probabilities."""

    temperature: Positive = 1.0
    """Divides both logits; higher shows more of the classes that the teacher finds less likely."""
    tokens: Tokens = "real"
    """Tokens to compare, where there are logits per token: all except padding, or only those with
    a label, such as masked tokens."""
    weight: NotNegative = 1.0
    """Factor in the sum of objectives."""

    @abstractmethod
    def between(self, student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
        """The divergence of two sets of logits, averaged over N."""

    @property
    def unit(self) -> Unit | Literal["output"]:
        """See `Objective.unit`: tokens with a label, if only these are compared."""
        return "target" if self.tokens == "masked" else "output"

    def build(self, student: Dims, teacher: Dims) -> nn.Module:
        """A module without parameters."""
        decides = student.kind != "" and kind_named(student.kind).output == "decisions"
        return _Divergence(self, decides)


class _Divergence(nn.Module):
    def __init__(self, divergence: Divergence, decides: bool) -> None:
        super().__init__()
        self.divergence, self.decides = divergence, decides

    def forward(self, student: Outputs, teacher: Outputs, labels: Tensor | None) -> Tensor:
        both = compared(student, teacher, labels, self.divergence.tokens)
        if not self.decides:
            return self.divergence.between(*both)
        ours, theirs = both
        return ours.shape[-1] * self.divergence.between(_as_classes(ours), _as_classes(theirs))


def _as_classes(logits_NL: Tensor) -> Tensor:
    """Each decision as two classes, [N L, 2], whose softmax is sigmoid(z) and sigmoid(-z)."""
    yes = logits_NL.flatten()
    return torch.stack([yes, torch.zeros_like(yes)], dim=-1)
