"""Unstructured sparsity: each weight by itself.

Loses the least quality at a given sparsity and gains no time: a dense product takes as long with
zeros in it. It saves storage.

Legend: O out, I in.
"""

from torch import Tensor

from leanformer.core.technique import technique
from leanformer.prune.pattern import Pattern


@technique("unstructured", paper="Han et al. 2015, arXiv:1506.02626")
class Unstructured(Pattern):
    """Remove single weights: smallest loss for the zeros, no gain in time."""

    def units(self, scores_OI: Tensor) -> Tensor:
        """See `Pattern.units`: the weights themselves."""
        return scores_OI

    def spread(self, units_U: Tensor, shape: tuple[int, int]) -> Tensor:
        """See `Pattern.spread`."""
        return units_U
