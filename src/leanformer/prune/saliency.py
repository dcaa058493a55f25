"""The interface of saliencies: how much a single weight matters.

A saliency gives scores, a pattern says what is removed together, a schedule says how much when. The
scores are computed from the weight and from what its gradients said (`Saliency`), or they are
parameters that are learnt beside the weight (`LearntSaliency`).

Legend: O out, I in, U units: the scores of a pattern, of any shape; G blocks of a row, B width.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

Gathered = Literal["gradient", "square", "fisher"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the gradients g of the masked weight have told; what the saliency did not ask for is
    None.

    Attributes:
        gradient_OI: Running mean of g.
        square_OI: Running mean of g², element by element: the diagonal of the empirical Fisher
            matrix.
        fisher_OGBB: Running mean of the products g gᵀ within blocks of a row.
    """

    gradient_OI: Tensor | None = None
    square_OI: Tensor | None = None
    fisher_OGBB: Tensor | None = None


class Saliency(ABC):
    """Scores weights; those of the lowest score go first.

    Attributes:
        gathers: Which evidence it needs; with any, nothing can be removed before the first steps.
        returns: Whether a unit that was removed may come back. Its weight keeps its value then.
    """

    family: ClassVar[str] = "saliency"
    gathers: ClassVar[frozenset[Gathered]] = frozenset()
    returns: ClassVar[bool] = False

    @property
    def fisher_block(self) -> int:
        """Width of the blocks of a row whose products of gradients are gathered, where they are."""
        return 0

    @abstractmethod
    def score(self, weight_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """One score a weight, [O, I], comparable between layers."""

    def moved(self, weight_OI: Tensor, kept_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """The weight [O, I] after a choice, 0 where it is not kept; what is kept may make up for
        what went."""
        return weight_OI.detach() * kept_OI


class LearntSaliency(Saliency):
    """Scores that are learnt beside the weights, one a unit of the pattern.

    Attributes:
        begin: What every score begins at.
        sets_share: Whether the share that is kept comes out of the training, from thresholds and
            penalties, and is not what the schedule says.
    """

    returns = True
    begin: ClassVar[float] = 0.0
    sets_share: ClassVar[bool] = False
    rate: float

    def score(self, weight_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """Not computed: see `gate`.

        Raises:
            TypeError: Always.
        """
        raise TypeError("the scores of this saliency are learnt; they are parameters of the layer")

    @abstractmethod
    def gate(self, scores_U: Tensor, kept_U: Tensor, progress: float, training: bool) -> Tensor:
        """What the weights of each unit are multiplied with, [U]; the scores get gradients by it.

        Args:
            scores_U: The learnt scores.
            kept_U: 1.0 for units that the pattern keeps at the moment, else 0.0; looked at by those
                that leave the share to the schedule.
            progress: How far the schedule is: 0 nothing is asked yet, 1 all that is asked in the
                end.
            training: Whether the model is in training mode.
        """

    def penalty(self, scores_U: Tensor, progress: float) -> Tensor | None:
        """What one weight matrix adds to the loss; None = nothing."""
        return None
