"""Iterative pruning: remove a part, train the rest, and repeat.

The training has K + 1 stretches of equal length. After stretch k a part is removed, so that k / K
of the final sparsity is reached; the last stretch trains the remaining weights.
"""

import math

from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.prune.schedule import Schedule


@technique("rounds", paper="Han et al. 2015, arXiv:1506.02626")
class Rounds(Schedule):
    """Remove in equal parts, with training in between."""

    rounds: Count = 5
    """Number of parts."""

    def progress(self, share: float) -> float:
        """See `Schedule.progress`: rounds + 1 stretches of training, a part removed after each."""
        return min(math.floor(share * (self.rounds + 1) + 1e-9), self.rounds) / self.rounds
