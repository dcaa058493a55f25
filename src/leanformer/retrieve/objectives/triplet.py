"""Triplet: an anchor is nearer to its positive than to a negative, by a margin.

    L = max(0, ||a - p|| - ||a - n|| + margin)

Legend: N triplet, D width, B tuple, K negative.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective

_LEAST = 1e-12  # squared distance: at 0 a distance has no gradient


def triplet(a_ND: Tensor, p_ND: Tensor, n_ND: Tensor, margin: float = 1.0) -> Tensor:
    """The hinge of each triplet, [N]."""
    return F.relu(_distance(a_ND, p_ND) - _distance(a_ND, n_ND) + margin)


def _distance(a_ND: Tensor, b_ND: Tensor) -> Tensor:
    return (a_ND - b_ND).square().sum(-1).clamp(min=_LEAST).sqrt()


@technique("triplet", paper="Reimers & Gurevych 2019, arXiv:1908.10084")
class Triplet(VectorObjective):
    """Keep negatives farther away than positives, in Euclid's distance: for anchors with both."""

    needs_negatives = True

    margin: NotNegative = 1.0
    """How much farther a negative has to be. Vectors of length one are at most 2 apart."""

    def build(self, width: int, classes: int) -> nn.Module:
        """A module without parameters."""
        return _Triplet(self.margin)


class _Triplet(nn.Module):
    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, columns: Columns) -> Tensor:
        others_BKD = columns.others_BKD
        negatives_BKD, there_BK = others_BKD[:, 1:], columns.there_BK[:, 1:]
        anchors_B1D, positives_B1D = columns.anchors_BD[:, None], others_BKD[:, :1]
        hinge_BK = triplet(anchors_B1D, positives_B1D, negatives_BKD, self.margin)
        return ((hinge_BK * there_BK).sum(-1) / there_BK.sum(-1).clamp(min=1)).sum()
