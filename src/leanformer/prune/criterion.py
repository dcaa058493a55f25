"""The interface of pruning criteria: which heads and neurons matter."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from leanformer.calibrate.statistics import UnitStatistics


class Criterion(ABC):
    """Scores units; those of the lowest score go first."""

    family: ClassVar[str] = "criterion"
    needs_labels: ClassVar[bool] = False

    @abstractmethod
    def score(self, statistics: UnitStatistics) -> Tensor:
        """One score a unit, [U], comparable within a layer."""
