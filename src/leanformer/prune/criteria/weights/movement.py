"""Movement: what grows while it is fine-tuned is kept, whatever its size.

    W' = W ⊙ M,  M = Top_v(S)        dL/dS = dL/dW' ⊙ W        (straight through the top-v)

So a score grows when its weight moves away from 0 and falls when it moves towards 0. A removed
weight has a score too and can come back. Scores begin at 0, learn at a rate of their own and do not
decay.

Legend: U units of the pattern.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.criteria.learned_mask import LearnedMask


@technique("movement", paper="Sanh et al. 2020, arXiv:2005.07683")
class Movement(LearnedMask):
    """Keep what moves away from zero in fine-tuning: for a tenth of the weights and less."""

    rate: float = 300.0
    """Rate of the scores over that of the weights: 1e-2 over 3e-5 in the paper."""

    def gate(self, scores_U: Tensor, kept_U: Tensor, progress: float, training: bool) -> Tensor:
        """See `LearnedMask.gate`: what is kept is constant, its gradient is the scores'."""
        return kept_U + (scores_U - scores_U.detach())
