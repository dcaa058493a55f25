"""Weight magnitude: small weights are removed.

    score = |w|

Needs nothing but the weight. It is a strong baseline for models trained from scratch and a weak one
in transfer learning: fine-tuning moves weights little, so small weights were small before it.

Legend: O out, I in.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import GradientStatistics, WeightCriterion


@technique("weight-magnitude", paper="Han et al. 2015, arXiv:1506.02626")
class WeightMagnitude(WeightCriterion):
    """Keep the largest weights: the baseline that everything else must beat."""

    def score(self, weight_OI: Tensor, statistics: GradientStatistics | None) -> Tensor:
        """See `WeightCriterion.score`."""
        return weight_OI.detach().abs()
