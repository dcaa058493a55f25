"""A window of whole blocks (BigBird): the own block of tokens and its neighbours.

    t sees s  iff  |floor(t / size) - floor(s / size)| <= reach          (causal: s <= t)

What is seen is read block by block, so that nothing of what is read is hidden: a few tokens more
than a window that slides by tokens, in less time.
"""

from torch import Tensor

from leanformer.attention.layout import Grid, Layout
from leanformer.attention.mechanism import Heads
from leanformer.attention.pattern import Pattern, Role
from leanformer.core.technique import technique


@technique("block-window", paper="Zaheer et al. 2020 (BigBird), arXiv:2007.14062")
class BlockWindow(Pattern):
    """See the own block and its neighbours: a sliding window, rounded to what is read at once."""

    size: int = 64
    """Tokens of a block."""
    reach: int = 1
    """Blocks on each side of the own one; in causal layers only those before it."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.reach < 0:
            raise ValueError(
                f"size, reach: blocks of {self.size} tokens, {self.reach} on each side; a block "
                "has 1 or more, and 0 or more are beside it"
            )

    @property
    def roles(self) -> frozenset[Role]:
        """See `Pattern.roles`."""
        return frozenset({"block-window"} if self.size * self.reach >= 32 else ())

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        size, after = self.size, 0 if grid.heads.causal else self.reach

        def sees(query: Tensor, key: Tensor) -> Tensor:
            back = query // size - key // size
            return (back <= self.reach) & (back >= -after)

        def spans(first: int, last: int) -> list[tuple[int, int]]:
            start, stop = first // size - self.reach, (last - 1) // size + after + 1
            return [(start * size, stop * size)]

        return (Layout(sees=sees, spans=spans),)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`: the ends of the text cut windows off."""
        blocks = -(-length // self.size)
        reach = min(self.reach, blocks - 1)
        beside = reach * (1 - (reach + 1) / 2 / blocks)  # full blocks before it, on average
        if heads.causal:
            return (min(self.size, length) + 1) / 2 + beside * self.size
        return min(length, (1 + 2 * beside) * self.size)
