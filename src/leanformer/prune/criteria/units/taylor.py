"""First-order Taylor: how much the loss would change without a unit.

    score_u = sum_examples | sum_{t, c in u} x_c dL/dx_c |

The absolute value is taken after the sum over tokens and channels, because the unit's total
contribution counts.
"""

from torch import Tensor

from leanformer.calibrate.statistics import UnitStatistics
from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import UnitCriterion


@technique(
    "taylor", paper="Michel et al. 2019, arXiv:1905.10650; Molchanov et al. 2017, arXiv:1611.06440"
)
class Taylor(UnitCriterion):
    """Keep what the loss depends on: the first choice where there are labels."""

    needs_labels = True

    def score(self, statistics: UnitStatistics) -> Tensor:
        """The estimated change of the loss."""
        return statistics.taylor
