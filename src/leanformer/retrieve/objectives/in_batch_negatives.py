"""In-batch negatives: of all texts of a batch, an anchor finds the one that belongs to it.

    L_i = -log( exp(s cos(a_i, p_i)) / sum over candidates c of exp(s cos(a_i, c)) )

The candidates are the positives of all tuples and the negatives of all tuples. Each different text
is one candidate, however often it occurs, and what is known to belong to the anchor (another of its
positives, the anchor's own text) is not a negative. The more candidates, the harder: large batches
pass through the model in parts with cached gradients (`retrieve.training.cached`).

    symmetric    each positive also has to find its anchor among all anchors

Legend: B tuple, U text, D width; s scale.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.core.ranges import Positive
from leanformer.core.technique import technique
from leanformer.retrieve.objectives.interface import Columns, VectorObjective


def in_batch_negatives(
    anchors_BD: Tensor,
    candidates_MD: Tensor,
    right_B: Tensor,
    excluded_BM: Tensor | None = None,
    scale: float = 20.0,
) -> Tensor:
    """Cross entropy of finding the right candidate by its cosine, summed over anchors, in nats.

    Args:
        anchors_BD: Vectors of the anchors.
        candidates_MD: Vectors of the candidates.
        right_B: Which candidate is right for each anchor.
        excluded_BM: True where a candidate is neither right nor wrong for an anchor; the right one
            is never excluded. None = nowhere.
        scale: Factor of the cosines.
    """
    scores_BM = scale * F.normalize(anchors_BD, dim=-1) @ F.normalize(candidates_MD, dim=-1).T
    if excluded_BM is not None:
        is_right_BM = F.one_hot(right_B, scores_BM.shape[1]).bool()
        scores_BM = scores_BM.masked_fill(excluded_BM & ~is_right_BM, -torch.inf)
    return F.cross_entropy(scores_BM, right_B, reduction="sum")


@technique(
    "in-batch-negatives",
    paper="Henderson et al. 2017, arXiv:1705.00652; van den Oord et al. 2018, arXiv:1807.03748",
)
class InBatchNegatives(VectorObjective):
    """Find an anchor's text among all texts of the batch: the first choice for search."""

    additive = False
    asks_excluded = True

    scale: Positive = 20.0
    """Factor of the cosines, 1 / temperature: higher looks more at the negatives that are near."""
    symmetric: bool = False
    """Let each positive find its anchor too, and average both."""

    def build(self, width: int, classes: int) -> nn.Module:
        """A module without parameters."""
        return _InBatchNegatives(self.scale, self.symmetric)


class _InBatchNegatives(nn.Module):
    def __init__(self, scale: float, symmetric: bool) -> None:
        super().__init__()
        self.scale, self.symmetric = scale, symmetric

    def forward(self, columns: Columns) -> Tensor:
        places_BC, excluded_BU = columns.places_BC, columns.excluded_BU
        anchors_B, positives_B = places_BC[:, 0], places_BC[:, 1]
        others = places_BC[:, 1:]
        found = self._found(columns, anchors_B, positives_B, others[others >= 0], excluded_BU)
        if not self.symmetric:
            return found
        back_BU = None
        if excluded_BU is not None:
            back_BU = self._known_anchors(places_BC, excluded_BU)
        return (found + self._found(columns, positives_B, anchors_B, anchors_B, back_BU)) / 2

    def _found(
        self,
        columns: Columns,
        asking_B: Tensor,
        right_B: Tensor,
        candidates: Tensor,
        excluded_BU: Tensor | None,
    ) -> Tensor:
        """The loss of texts that look for another one among the different `candidates`."""
        candidates_M = candidates.unique()
        right = torch.searchsorted(candidates_M, right_B.contiguous())
        excluded = None if excluded_BU is None else excluded_BU[:, candidates_M]
        vectors_UD = columns.pooled_UD
        return in_batch_negatives(
            vectors_UD[asking_B], vectors_UD[candidates_M], right, excluded, self.scale
        )

    @staticmethod
    def _known_anchors(places_BC: Tensor, excluded_BU: Tensor) -> Tensor:
        """True where the anchor of another tuple is known to belong to a tuple's positive."""
        anchors_B, positives_B = places_BC[:, 0], places_BC[:, 1]
        known_BB = excluded_BU[:, positives_B].T  # of positive i and anchor j
        back_BU = torch.zeros_like(excluded_BU)
        back_BU[:, anchors_B] = known_BB
        rows_B = torch.arange(len(positives_B), device=positives_B.device)
        back_BU[rows_B, positives_B] = True
        return back_BU
