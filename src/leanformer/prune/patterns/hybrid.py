"""Hybrid sparsity: whole rows or columns of oblong matrices, blocks of square ones.

The two matrices of the FFN are oblong, and a line along their short side is a neuron: whole neurons
are removed. The matrices of attention are square; with blocks as wide as a head, whole heads can be
removed. `drop-empty` then removes what is empty, which makes the model faster on any hardware.

Legend: O out, I in.
"""

from torch import Tensor

from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.prune.pattern import Pattern
from leanformer.prune.patterns.blocks import Blocks


@technique("hybrid", paper="Lagunas et al. 2021, arXiv:2109.04838")
class Hybrid(Pattern):
    """Remove neurons of the FFN and blocks of attention: sparsity that `drop-empty` can use."""

    block_size: Count = 32
    """Height and width of the blocks of square matrices; use the width of a head."""

    def units(self, scores_OI: Tensor) -> Tensor:
        """See `Pattern.units`.

        Raises:
            ValueError: The blocks do not tile a square weight.
        """
        return self._blocks((scores_OI.shape[0], scores_OI.shape[1])).units(scores_OI)

    def spread(self, units_U: Tensor, shape: tuple[int, int]) -> Tensor:
        """See `Pattern.spread`."""
        return self._blocks(shape).spread(units_U, shape)

    def _blocks(self, shape: tuple[int, int]) -> Blocks:
        out, into = shape
        if out > into:
            return Blocks(rows=1, columns=into)
        if into > out:
            return Blocks(rows=out, columns=1)
        return Blocks(rows=self.block_size, columns=self.block_size)
