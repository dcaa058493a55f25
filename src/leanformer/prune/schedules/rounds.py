"""Pruning in rounds: a part goes, the rest trains on, and again: iterative pruning.

The rounds are equally long; after round k of K the share k / K of what is to go has gone, and the
last round trains what is left.
"""

import math

from leanformer.core.technique import technique
from leanformer.prune.schedule import Schedule


@technique("rounds", paper="Han et al. 2015, arXiv:1506.02626")
class Rounds(Schedule):
    """Remove in equal parts with training between them."""

    rounds: int = 5
    """How many parts."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds: {self.rounds} is not at least 1")

    def progress(self, share: float) -> float:
        """See `Schedule.progress`: rounds + 1 stretches of training, a part removed after each."""
        return min(math.floor(share * (self.rounds + 1) + 1e-9), self.rounds) / self.rounds
