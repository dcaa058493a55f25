"""First-order Taylor: how much the loss changes when a weight becomes 0, by its gradient.

    score = | w · E[g] |

At a minimum the mean gradient is 0 and says nothing: this is for models that still learn.

Legend: O out, I in, g gradient of the loss.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.saliency import Evidence, Saliency


@technique("weight-taylor", paper="Molchanov et al. 2017, arXiv:1611.06440")
class WeightTaylor(Saliency):
    """Keep the weights whose loss the gradient says the model would miss."""

    gathers = frozenset({"gradient"})

    def score(self, weight_OI: Tensor, evidence: Evidence | None) -> Tensor:
        """See `Saliency.score`."""
        assert evidence is not None
        assert evidence.gradient_OI is not None, "it is gathered"
        return (weight_OI.detach() * evidence.gradient_OI).abs()
