"""Movement as its equation says: what grows while it is fine-tuned is kept, in plain sums.

    S = - Σ_t g_t w_t        g_t = dL/dW' at step t, W' = W ⊙ M,  M = Top_v(S)

The sum is what SGD would make of the scores of `movement`. AdamW, which trains those, makes every
step alike in size, so that its scores count how steadily a weight moves and need thousands of steps
to say more than noise; here a weight whose movement matters more for the loss has the larger score.
A removed weight keeps its value and goes on being scored by what it would change, so that it can
come back.

Legend: O out, I in, g gradient of the loss, w weight.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.saliency import Evidence, Saliency


@technique("movement-sum", paper="Sanh et al. 2020, arXiv:2005.07683, equation 3")
class MovementSum(Saliency):
    """Keep what moves away from zero by how much the loss gains: where steps are hundreds."""

    gathers = frozenset({"movement"})
    returns = True

    def score(self, weight_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """See `Saliency.score`."""
        assert evidence is not None
        assert evidence.movement_OI is not None, "it is gathered"
        return evidence.movement_OI
