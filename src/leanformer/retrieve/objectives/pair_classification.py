"""Pair classification: what is between two texts is told from their vectors and the difference.

    o = W [u; v; |u - v|]        L = cross entropy(softmax(o), class)

This is the paper's way to learn vectors from natural language inference (entailment, neutral,
contradiction). W is used in training alone; the vectors are those before they are brought to length
one, as in the paper.

Legend: N pair, D width, C class.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


def pair_features(u_ND: Tensor, v_ND: Tensor) -> Tensor:
    """What a pair is classified by: [u; v; |u - v|], [N, 3 D]."""
    return torch.cat([u_ND, v_ND, (u_ND - v_ND).abs()], dim=-1)


def pair_classification(u_ND: Tensor, v_ND: Tensor, weight_CI: Tensor, classes_N: Tensor) -> Tensor:
    """Cross entropy averaged over pairs, in nats.

    Args:
        u_ND: Vectors of the first texts.
        v_ND: Vectors of the second texts.
        weight_CI: W, [C, 3 D].
        classes_N: The class of each pair.
    """
    return F.cross_entropy(pair_features(u_ND, v_ND) @ weight_CI.T, classes_N)


@technique("pair-classification", paper="Reimers & Gurevych 2019, arXiv:1908.10084")
class PairClassification(VectorObjective):
    """Tell the class of a pair from its vectors: for pairs with classes, such as inference."""

    targets = "classes"

    def build(self, width: int, classes: int) -> nn.Module:
        """A module that holds W, `weight` [C, 3 D]."""
        return PairClassifier(width, classes)


class PairClassifier(nn.Module):
    """W of a pair's classification.

    Args:
        width: Width of a vector.
        classes: How many classes there are.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * width, classes, bias=False)

    def logits(self, columns: Columns) -> Tensor:
        """The logits of each pair, [B, C]."""
        u_BD, v_BD = (columns.pooled_UD[columns.places_BC[:, place]] for place in (0, 1))
        found: Tensor = self.linear(pair_features(u_BD, v_BD))
        return found

    def forward(self, columns: Columns) -> Tensor:
        """Cross entropy, summed over pairs."""
        assert columns.targets is not None, "a pair is classified as something"
        return F.cross_entropy(self.logits(columns), columns.targets, reduction="sum")
