"""L0 by hard-concrete gates: each weight is kept with a learned probability.

    s = σ( (log u - log(1 - u) + S) / β ),  u ~ U(0, 1)        M = clamp( s (r - l) + l, 0, 1 )
    L += λ mean σ( S - β log(-l / r) )                          the probability that M > 0

During training each pass draws the gates anew; afterwards each gate is its mean, which is exactly 0
for many.

Legend: U units of the pattern, l = -0.1 and r = 1.1 stretch, β = 2/3 temperature, λ penalty.
"""

import math

import torch
from torch import Tensor

from leanformer.core.ranges import NotNegative, Positive
from leanformer.core.technique import technique
from leanformer.prune.criteria.learned_mask import LearnedMask

_LOW, _HIGH, _BETA = -0.1, 1.1, 2 / 3


def concrete(scores_U: Tensor, uniform_U: Tensor | None) -> Tensor:
    """The gates [U] for uniform draws in (0, 1); None = their means."""
    logits = scores_U
    if uniform_U is not None:
        logits = (torch.log(uniform_U) - torch.log1p(-uniform_U) + scores_U) / _BETA
    return (logits.sigmoid() * (_HIGH - _LOW) + _LOW).clamp(0, 1)


@technique("hard-concrete", paper="Louizos et al. 2018, arXiv:1712.01312")
class HardConcrete(LearnedMask):
    """Penalize the number of weights that are not zero: L0, made differentiable."""

    sets_sparsity = True
    initial_score = 2.197

    penalty_weight: NotNegative = 125.0
    """λ: higher means sparser."""
    rate: Positive = 3000.0
    """Learning rate of the scores, relative to the weights': 1e-1 / 3e-5 in the paper."""

    def gate(self, scores_U: Tensor, kept_U: Tensor, progress: float, training: bool) -> Tensor:
        """See `LearnedMask.gate`."""
        if not training:
            return concrete(scores_U, None)
        uniform = torch.rand_like(scores_U).clamp(1e-6, 1 - 1e-6)
        return concrete(scores_U, uniform)

    def penalty(self, scores_U: Tensor, progress: float) -> Tensor | None:
        """See `LearnedMask.penalty`."""
        open_U = (scores_U - _BETA * math.log(-_LOW / _HIGH)).sigmoid()
        return self.penalty_weight * progress * open_U.mean()
