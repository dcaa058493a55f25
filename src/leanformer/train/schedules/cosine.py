"""Cosine decay: slow at both ends, (1 + cos(pi u)) / 2.

Legend: u share of the steps after the warm-up that is done.
"""

import math

from leanformer.core.technique import technique
from leanformer.train.schedules.interface import LearningRateSchedule


@technique("cosine", paper="Loshchilov & Hutter 2017 (SGDR), arXiv:1608.03983")
class CosineDecay(LearningRateSchedule):
    """Fall to zero along half a cosine: more of the training is near the peak and near zero."""

    def after_warmup(self, done: float) -> float:
        """See `LearningRateSchedule.after_warmup`."""
        return (1 + math.cos(math.pi * done)) / 2
