"""Optimal brain damage: how much the loss changes when a weight becomes 0, by its curvature.

    score = 1/2 h w²        h = E[g²], the diagonal of the empirical Fisher matrix, for d²L/dw²

Assumes a minimum (no first-order term) and independent weights (no off-diagonal terms); the kept
weights do not compensate.

Legend: O out, I in, g gradient of the loss, h curvature.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import GradientStatistics, WeightCriterion


def saliency(weight_OI: Tensor, curvature_OI: Tensor) -> Tensor:
    """The change of a quadratic loss at its minimum, [O, I]."""
    return 0.5 * curvature_OI * weight_OI.square()


@technique("brain-damage", paper="LeCun et al. 1990, Optimal Brain Damage (NeurIPS 2)")
class BrainDamage(WeightCriterion):
    """Keep the weights that the loss is curved in: second order, diagonal."""

    needs = frozenset({"square"})

    def score(self, weight_OI: Tensor, statistics: GradientStatistics | None) -> Tensor:
        """See `WeightCriterion.score`."""
        assert statistics is not None
        assert statistics.square_OI is not None, "the criterion needs it"
        return saliency(weight_OI.detach(), statistics.square_OI)
