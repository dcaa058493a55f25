"""Polynomial decay: from the peak rate to zero, (1 - u)^p.

Legend: u share of the steps after the warm-up that is done, p power.
"""

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.train.schedules.interface import LearningRateSchedule


@technique("polynomial", paper="You et al. 2017 (LARS), arXiv:1708.03888")
class PolynomialDecay(LearningRateSchedule):
    """Fall fast at first and slowly at the end: LARS decays by power 2; power 1 is `linear`."""

    power: Positive = 2.0
    """Larger powers leave the peak sooner; below 1 the rate stays near it until the end."""

    def after_warmup(self, done: float) -> float:
        """See `LearningRateSchedule.after_warmup`."""
        return (1 - done) ** self.power
