"""The interfaces of pruning criteria: how much a unit or a weight matters.

    UnitCriterion      statistics of a head or neuron      →  one score per unit      (`shrink`)
    WeightCriterion    a weight and gradient statistics    →  one score per weight    (`sparsify`)

Both are one idea at two grains: what has the lowest scores is removed first. A weight criterion
only scores; the pattern says which weights are removed together, and the schedule how many by when.
Scores that are parameters and learned during training have an interface of their own:
`leanformer.prune.criteria.learned_mask`.

Legend: O out, I in, U heads or neurons of a layer; G blocks of a row, B width of a block.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from leanformer.calibrate.statistics import UnitStatistics

Needed = Literal["gradient", "square", "fisher"]


class UnitCriterion(ABC):
    """Scores heads and neurons; the lowest scores are removed first.

    Attributes:
        needs_labels: Whether the statistics need the gradient of a loss on labels.
    """

    family: ClassVar[str] = "unit-criterion"
    needs_labels: ClassVar[bool] = False

    @abstractmethod
    def score(self, statistics: UnitStatistics) -> Tensor:
        """One score per unit, [U], comparable within a layer."""


@dataclass(frozen=True, eq=False)
class GradientStatistics:
    """Running averages over the gradient g of a masked weight; None where they are not needed.

    Attributes:
        gradient_OI: Average of g.
        square_OI: Average of g², element by element: the diagonal of the empirical Fisher matrix.
        fisher_OGBB: Average of the products g gᵀ within blocks of a row.
    """

    gradient_OI: Tensor | None = None
    square_OI: Tensor | None = None
    fisher_OGBB: Tensor | None = None


class WeightCriterion(ABC):
    """Scores weights; the lowest scores are removed first.

    Attributes:
        needs: Which gradient statistics it needs. With any, nothing can be removed before the first
            steps.
        can_regrow: Whether a removed unit may return. Its weight then keeps its value meanwhile.
    """

    family: ClassVar[str] = "weight-criterion"
    needs: ClassVar[frozenset[Needed]] = frozenset()
    can_regrow: ClassVar[bool] = False

    @property
    def fisher_block(self) -> int:
        """Width of the blocks of `fisher_OGBB`, where it is needed."""
        return 0

    @abstractmethod
    def score(self, weight_OI: Tensor, statistics: GradientStatistics | None) -> Tensor:
        """One score per weight, [O, I], comparable between layers."""

    def compensate(
        self, weight_OI: Tensor, kept_OI: Tensor, statistics: GradientStatistics | None
    ) -> Tensor:
        """The weight [O, I] after removal: 0 where not kept.

        A criterion may change the kept weights here to compensate for the removed ones.
        """
        return weight_OI.detach() * kept_OI
