"""First-order Taylor: how much the loss changes when a weight becomes 0, by its gradient.

    score = | w · E[g] |

At a minimum the mean gradient is 0 and carries no information: use it for models that still learn.

Legend: O out, I in, g gradient of the loss.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import GradientStatistics, WeightCriterion


@technique("weight-taylor", paper="Molchanov et al. 2017, arXiv:1611.06440")
class WeightTaylor(WeightCriterion):
    """Keep the weights that the loss depends on to first order."""

    needs = frozenset({"gradient"})

    def score(self, weight_OI: Tensor, statistics: GradientStatistics | None) -> Tensor:
        """See `WeightCriterion.score`."""
        assert statistics is not None
        assert statistics.gradient_OI is not None, "the criterion needs it"
        return (weight_OI.detach() * statistics.gradient_OI).abs()
