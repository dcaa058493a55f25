"""The interface of pruning schedules: how much is removed by when."""

from abc import ABC, abstractmethod
from typing import ClassVar


class Schedule(ABC):
    """Says how much is removed at each step of a training."""

    family: ClassVar[str] = "pruning-schedule"

    @abstractmethod
    def progress(self, share: float) -> float:
        """The share of the final sparsity that is reached after `share` of the steps, from 0 to 1.

        It never falls, and it is 1 at the end.
        """
