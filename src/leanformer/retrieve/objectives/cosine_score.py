"""Cosine score: the cosine of two vectors is the score of their texts.

    L = (cos(u, v) - y)^2

Scores are brought to 0 … 1 first: 0 and 5 of STS-B become 0 and 1.

Legend: N pair, D width.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


def cosine_score(u_ND: Tensor, v_ND: Tensor, score_N: Tensor) -> Tensor:
    """Squared error of the cosine, averaged over pairs."""
    return F.mse_loss(F.cosine_similarity(u_ND, v_ND, dim=-1), score_N)


@technique("cosine-score", paper="Reimers & Gurevych 2019, arXiv:1908.10084")
class CosineScore(VectorObjective):
    """Make the cosine of two texts their score: for pairs with a similarity."""

    targets = "scores"

    def build(self, width: int, classes: int) -> nn.Module:
        """A module without parameters."""
        return _CosineScore()


class _CosineScore(nn.Module):
    def forward(self, columns: Columns) -> Tensor:
        assert columns.targets is not None, "pairs have scores"
        u_BD, v_BD = (columns.pooled_UD[columns.places_BC[:, place]] for place in (0, 1))
        return cosine_score(u_BD, v_BD, columns.targets) * len(u_BD)
