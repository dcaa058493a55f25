"""Reciprocal rank fusion: texts count by their ranks alone, whatever the scale of the scores.

    score(d) = sum over rankings r that hold d of  1 / (k + rank_r(d))        ranks from 1 on

The constant k lowers what a single first rank is worth: with k = 60 a text that is second and third
in two rankings comes before one that is first in one of them only.
"""

from collections.abc import Sequence

from leanformer.core.ranges import NotNegative
from leanformer.core.technique import technique
from leanformer.retrieve.searching.fusion import Fusion


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]], k: float = 60.0) -> dict[str, float]:
    """The fused score of every key in any of the rankings, the best first.

    Args:
        rankings: Lists of keys, each with the best one first and none twice.
        k: What is added to each rank.
    """
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (k + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


@technique("reciprocal-rank-fusion", paper="Cormack et al. 2009, doi:10.1145/1571941.1572114")
class ReciprocalRankFusion(Fusion):
    """Sum the reciprocal ranks of a text: needs no training and no scores of one scale."""

    k: NotNegative = 60.0
    """Added to each rank; a larger one lowers what the very first ranks are worth."""

    def fuse(self, rankings: Sequence[Sequence[str]]) -> dict[str, float]:
        """See `Fusion.fuse`."""
        return reciprocal_rank_fusion(rankings, self.k)
