"""The interface of learned masks: scores that are parameters and are trained beside the weights.

    y = x (w ⊙ gate(S))ᵀ + b        dL/dS reaches the scores S through the gate

A `WeightCriterion` computes its scores; here the training finds them, one per unit of the pattern.
A removed unit still gets gradients, so it may return.

Legend: U units of the pattern.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from leanformer.prune.criteria.interface import Needed


class LearnedMask(ABC):
    """Gates weights by learned scores. A recipe chooses it like a `WeightCriterion`.

    Attributes:
        needs: No gradient statistics: the scores have gradients of their own.
        can_regrow: A removed unit may return.
        initial_score: Initial value of every score.
        sets_sparsity: Whether the sparsity results from thresholds and penalties. `sparsity` of
            `sparsify` is then not read.
        rate: Learning rate of the scores, relative to that of the weights.
    """

    family: ClassVar[str] = "weight-criterion"
    needs: ClassVar[frozenset[Needed]] = frozenset()
    can_regrow: ClassVar[bool] = True
    initial_score: ClassVar[float] = 0.0
    sets_sparsity: ClassVar[bool] = False
    rate: float

    @abstractmethod
    def gate(self, scores_U: Tensor, kept_U: Tensor, progress: float, training: bool) -> Tensor:
        """The factor of each unit's weights, [U]; differentiable in the scores.

        Args:
            scores_U: The learned scores.
            kept_U: 1.0 for units that are kept at the moment, else 0.0; ignored where
                `sets_sparsity` is set.
            progress: Progress of the schedule, from 0 (nothing removed) to 1 (final sparsity).
            training: Whether the model is in training mode.
        """

    def penalty(self, scores_U: Tensor, progress: float) -> Tensor | None:
        """The term that the scores of one weight matrix add to the loss; None = no term."""
        return None
