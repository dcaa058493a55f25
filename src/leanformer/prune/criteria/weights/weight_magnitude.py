"""Weight magnitude: what is small is removed.

    score = |w|

Needs nothing but the weight. It is a strong baseline where a model is trained from scratch, and a
weak one in transfer: fine-tuning moves weights little, so what is small there was small already.

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
