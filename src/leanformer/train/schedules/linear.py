"""Linear decay: from the peak rate to zero in a straight line, 1 - u.

Legend: u share of the steps after the warm-up that is done.
"""

from leanformer.core.technique import technique
from leanformer.train.schedules.interface import LearningRateSchedule


@technique("linear", paper="Devlin et al. 2019 (BERT), arXiv:1810.04805")
class LinearDecay(LearningRateSchedule):
    """Fall to zero in a straight line: the usual choice for fine-tuning."""

    def after_warmup(self, done: float) -> float:
        """See `LearningRateSchedule.after_warmup`."""
        return 1 - done
