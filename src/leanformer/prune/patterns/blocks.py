"""Block sparsity: tiles of the weight are kept or removed as a whole.

The score of a block is the mean of the scores of its weights. Blocks that fill a whole row or
column of tiles can be removed physically; block-sparse kernels skip single ones.

Legend: O out, I in, r x c the block, P rows of blocks, Q columns of blocks.
"""

from torch import Tensor

from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.prune.pattern import Pattern


@technique("blocks", paper="Lagunas et al. 2021, arXiv:2109.04838")
class Blocks(Pattern):
    """Remove whole tiles, which block-sparse kernels can skip."""

    rows: Count = 32
    """Height of a block."""
    columns: Count = 32
    """Width of a block."""

    def units(self, scores_OI: Tensor) -> Tensor:
        """See `Pattern.units`: the means of the blocks, [P, Q].

        Raises:
            ValueError: The blocks do not tile the weight.
        """
        out, into = scores_OI.shape
        if out % self.rows or into % self.columns:
            raise ValueError(
                f"rows: blocks of {self.rows} x {self.columns} do not tile a weight of {out} x "
                f"{into}"
            )
        tiles = scores_OI.unflatten(1, (-1, self.columns)).unflatten(0, (-1, self.rows))
        return tiles.mean(dim=(1, 3))

    def spread(self, units_U: Tensor, shape: tuple[int, int]) -> Tensor:
        """See `Pattern.spread`."""
        return units_U.repeat_interleave(self.rows, 0).repeat_interleave(self.columns, 1)
