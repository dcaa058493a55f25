"""Fixed attention of the Sparse Transformer: the own block, and the last tokens of each one.

    t sees s  iff  floor(t / l) = floor(s / l)  or  s mod l >= l - c          (causal: s <= t)

The last c tokens of a block of l gather what is in it, and all later tokens read them.
"""

from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern
from leanformer.core.ranges import Count
from leanformer.core.technique import technique


@technique("fixed", paper="Child et al. 2019 (Sparse Transformer), arXiv:1904.10509")
class Fixed(Pattern):
    """See the own block of text and the summarising tokens of the others: for plain text."""

    block_size: Count = 128
    """Tokens of a block."""
    summary: Count = 8
    """Tokens at the end of each block that are seen from everywhere."""

    def __post_init__(self) -> None:
        if self.summary > self.block_size:
            raise ValueError(
                f"summary: {self.summary} of the {self.block_size} tokens of a block; "
                f"it is 1 to {self.block_size}"
            )

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        size, begin = self.block_size, self.block_size - self.summary

        def mask_mod(query: Tensor, key: Tensor) -> Tensor:
            return (query // size == key // size) | (key % size >= begin)

        def key_ranges(first: int, last: int) -> list[tuple[int, int]]:
            return [(first // size * size, ((last - 1) // size + 1) * size)]

        columns = tuple(place for place in range(grid.length) if place % size >= begin)
        return (Layout(mask_mod=mask_mod, key_ranges=key_ranges, global_keys=columns),)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`."""
        whole = min(self.block_size, length) + length * self.summary / self.block_size
        return whole / 2 if heads.causal else whole
