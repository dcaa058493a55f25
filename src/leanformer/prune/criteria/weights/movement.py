"""Movement: weights that grow during fine-tuning are kept, whatever their magnitude.

    W' = W ⊙ M,  M = Top_v(S)        dL/dS = dL/dW' ⊙ W        (straight through the top-v)

A score grows when its weight moves away from 0 and falls when it moves towards 0. A removed weight
keeps its score and may return. Scores start at 0, have their own learning rate and no weight decay.

Legend: U units of the pattern.
"""

from torch import Tensor

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.prune.criteria.learned_mask import LearnedMask


@technique("movement", paper="Sanh et al. 2020, arXiv:2005.07683")
class Movement(LearnedMask):
    """Keep weights that move away from zero in fine-tuning: for sparsity of 0.9 and more."""

    rate: Positive = 300.0
    """Learning rate of the scores, relative to the weights': 1e-2 / 3e-5 in the paper."""

    def gate(self, scores_U: Tensor, kept_U: Tensor, progress: float, training: bool) -> Tensor:
        """See `LearnedMask.gate`: `kept_U` with the gradient of the scores."""
        return kept_U + (scores_U - scores_U.detach())
