"""Random scores: the control that every other criterion must beat.

The seed and the shape fix one random order of the weights, so that a schedule removes weights in
that order.

Legend: O out, I in.
"""

import torch
from torch import Tensor

from leanformer.core.ranges import Seed
from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import GradientStatistics, WeightCriterion


@technique("random-weights", paper="")
class RandomWeights(WeightCriterion):
    """Remove weights in random order: the control."""

    seed: Seed = 0
    """Decides the order."""

    def score(self, weight_OI: Tensor, statistics: GradientStatistics | None) -> Tensor:
        """See `WeightCriterion.score`; weights of equal shapes get equal scores."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.rand(weight_OI.shape, generator=generator).to(weight_OI.device)
