"""Magnitude: the norm of the weights that read a unit.

    score_u = || W_{:, c in u} ||

Needs no texts: the baseline that a better criterion must beat.
"""

from torch import Tensor

from leanformer.calibrate.statistics import UnitStatistics
from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import UnitCriterion


def magnitude_score(outgoing_OC: Tensor, width: int) -> Tensor:
    """Norm of the outgoing weights of each unit of `width` channels, [U]."""
    return outgoing_OC.float().pow(2).sum(0).unflatten(0, (-1, width)).sum(-1).sqrt()


@technique("magnitude", paper="Li et al. 2017, arXiv:1608.08710")
class Magnitude(UnitCriterion):
    """Keep the largest weights: needs neither texts nor labels."""

    def score(self, statistics: UnitStatistics) -> Tensor:
        """Norm of the outgoing weights."""
        return magnitude_score(statistics.outgoing, statistics.width)
