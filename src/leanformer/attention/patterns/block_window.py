"""A window of whole blocks (BigBird): the own block of tokens and its neighbours.

    t sees s  iff  |floor(t / size) - floor(s / size)| <= reach          (causal: s <= t)

What is seen is read block by block, so that nothing of what is read is hidden: a few tokens more
than a window that slides by tokens, in less time.
"""

from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern, Role
from leanformer.core.ranges import Count, Index
from leanformer.core.technique import technique


@technique("block-window", paper="Zaheer et al. 2020 (BigBird), arXiv:2007.14062")
class BlockWindow(Pattern):
    """See the own block and its neighbours: a sliding window, rounded to what is read at once."""

    block_size: Count = 64
    """Tokens of a block."""
    reach: Index = 1
    """Blocks on each side of the own one; in causal layers only those before it."""

    @property
    def roles(self) -> frozenset[Role]:
        """See `Pattern.roles`."""
        return frozenset({"block-window"} if self.block_size * self.reach >= 32 else ())

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        size, after = self.block_size, 0 if grid.heads.causal else self.reach

        def mask_mod(query: Tensor, key: Tensor) -> Tensor:
            back = query // size - key // size
            return (back <= self.reach) & (back >= -after)

        def key_ranges(first: int, last: int) -> list[tuple[int, int]]:
            start, stop = first // size - self.reach, (last - 1) // size + after + 1
            return [(start * size, stop * size)]

        return (Layout(mask_mod=mask_mod, key_ranges=key_ranges),)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`: the ends of the text cut windows off."""
        blocks = -(-length // self.block_size)
        reach = min(self.reach, blocks - 1)
        beside = reach * (1 - (reach + 1) / 2 / blocks)  # full blocks before it, on average
        if heads.causal:
            return (min(self.block_size, length) + 1) / 2 + beside * self.block_size
        return min(length, (1 + 2 * beside) * self.block_size)
