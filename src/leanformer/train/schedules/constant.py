"""A constant rate: 1 from the end of the warm-up on."""

from leanformer.core.technique import technique
from leanformer.train.schedules.interface import LearningRateSchedule


@technique("constant", paper="")
class ConstantRate(LearningRateSchedule):
    """Stay at the peak rate: for a training that another one continues."""

    def after_warmup(self, done: float) -> float:
        """See `LearningRateSchedule.after_warmup`."""
        return 1.0
