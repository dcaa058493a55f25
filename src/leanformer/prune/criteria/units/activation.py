"""Activation times weight: how much a unit contributes to the residual stream.

    score_u = sum_{c in u} rms(x_c) ||W_c||        W_c the column that reads channel c

Needs texts and no labels, so that it works for embedding models too.
"""

from torch import Tensor

from leanformer.calibrate.statistics import UnitStatistics
from leanformer.core.technique import technique
from leanformer.prune.criteria.interface import UnitCriterion


def activation_score(activation_C: Tensor, outgoing_OC: Tensor, width: int) -> Tensor:
    """Mean magnitude of what each unit of `width` channels writes, [U]."""
    written_C = activation_C * outgoing_OC.float().norm(dim=0)
    return written_C.unflatten(0, (-1, width)).sum(-1)


@technique("activation", paper="Sun et al. 2023 (Wanda), arXiv:2306.11695")
class Activation(UnitCriterion):
    """Keep what writes most into the residual stream: needs no labels."""

    def score(self, statistics: UnitStatistics) -> Tensor:
        """Mean magnitude of what each unit writes."""
        return activation_score(statistics.activation, statistics.outgoing, statistics.width)
