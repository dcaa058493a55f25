"""A window that slides over the text: each token sees its neighbours.

    t sees s  iff  -right * dilation <= t - s <= left * dilation  and  dilation divides t - s

`left` and `right` count the neighbours on each side. Elsewhere conventions differ: Longformer's
`attention_window=w` is w / 2 on each side, Mistral's `sliding_window=w` is left = w - 1, causal.

Legend: T token, S key token.
"""

from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern, Role
from leanformer.core.ranges import Count, Index
from leanformer.core.technique import technique


def in_window(query: Tensor, key: Tensor, left: int, right: int, dilation: int = 1) -> Tensor:
    """True where a key place is in the window of a query place; the places broadcast."""
    back = query - key
    near = (back <= left * dilation) & (back >= -right * dilation)
    return near if dilation == 1 else near & (back % dilation == 0)


@technique("sliding-window", paper="Beltagy et al. 2020 (Longformer), arXiv:2004.05150")
class SlidingWindow(Pattern):
    """See the neighbours: what most tokens need most, at a cost that grows with the text only."""

    position_dependent = False

    left: Index = 256
    """Neighbours before a token that it sees."""
    right: Index = 256
    """Neighbours after it; of no effect in causal layers."""
    dilation: Count = 1
    """Distance from one neighbour to the next: 2 sees twice as far, every other token."""

    @property
    def roles(self) -> frozenset[Role]:
        """See `Pattern.roles`."""
        wide = self.dilation == 1 and min(self.left, self.right) >= 128
        return frozenset({"wide-window"} if wide else ())

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        right = 0 if grid.heads.causal else self.right

        def mask_mod(query: Tensor, key: Tensor) -> Tensor:
            return in_window(query, key, self.left, right, self.dilation)

        def key_ranges(first: int, last: int) -> list[tuple[int, int]]:
            return [(first - self.left, last + right)]

        return (Layout(mask_mod=mask_mod, key_ranges=key_ranges, stride=self.dilation),)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`: the ends of the text cut windows off."""
        sides = (self.left,) if heads.causal else (self.left, self.right)
        reach = [min(side, (length - 1) // self.dilation) for side in sides]
        return 1 + sum(side * (1 - self.dilation * (side + 1) / 2 / length) for side in reach)
