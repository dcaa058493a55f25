"""CoSENT: of two pairs of texts, the one with the higher score has the higher cosine.

    L = log(1 + sum over pairs i, j with y_i > y_j of exp(s (cos_j - cos_i)))

Only the order of the scores counts, as in the rank correlation that models are judged by.

Legend: N pair, D width; s scale.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


def cosent(u_ND: Tensor, v_ND: Tensor, score_N: Tensor, scale: float = 20.0) -> Tensor:
    """The loss of all pairs together, a scalar; 0 where all scores are equal.

    Args:
        u_ND: Vectors of the first texts.
        v_ND: Vectors of the second texts.
        score_N: Scores, in any unit.
        scale: Factor of the cosines.
    """
    cosine_N = scale * F.cosine_similarity(u_ND, v_ND, dim=-1)
    wrong_NN = cosine_N[None, :] - cosine_N[:, None]  # of j above i
    ordered_NN = score_N[:, None] > score_N[None, :]
    none = wrong_NN.new_zeros(1)
    return torch.logsumexp(torch.cat([none, wrong_NN[ordered_NN]]), dim=0)


@technique("cosent", paper="Huang et al. 2024, doi:10.1109/TASLP.2024.3402087")
class Cosent(VectorObjective):
    """Order pairs by their scores: for pairs with a similarity whose unit does not matter."""

    additive = False
    targets = "scores"

    scale: Positive = 20.0
    """Factor of the cosines: higher looks more at pairs that are nearly in order."""

    def build(self, width: int, classes: int) -> nn.Module:
        """A module without parameters."""
        return _Cosent(self.scale)


class _Cosent(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, columns: Columns) -> Tensor:
        assert columns.targets is not None, "pairs have scores"
        u_BD, v_BD = (columns.pooled_UD[columns.places_BC[:, place]] for place in (0, 1))
        return cosent(u_BD, v_BD, columns.targets, self.scale) * len(u_BD)
