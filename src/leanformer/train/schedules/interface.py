"""The interface of learning-rate schedules: the factor on the peak rate at each step.

    warm-up     (t + 1) / (w + 1)                   t < w
    afterwards  after_warmup((t - w) / (T - w))     of each schedule's own

Legend: t step, w steps of warm-up, T all steps.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from leanformer.core.ranges import PartialShare


@dataclass(frozen=True, kw_only=True)
class LearningRateSchedule(ABC):
    """Says by how much the peak learning rate is multiplied."""

    family: ClassVar[str] = "learning-rate-schedule"

    warmup: PartialShare = 0.06
    """Share of the steps in which the learning rate grows from zero."""

    def factor(self, step: int, steps: int) -> float:
        """The factor in [0, 1] at `step` (0-based) of `steps`."""
        rising = int(self.warmup * steps)
        if step < rising:
            return (step + 1) / (rising + 1)
        return self.after_warmup((step - rising) / max(1, steps - rising))

    @abstractmethod
    def after_warmup(self, done: float) -> float:
        """The factor when the share `done`, in [0, 1), of the steps after the warm-up is done."""
