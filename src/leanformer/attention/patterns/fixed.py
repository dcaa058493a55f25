"""Fixed attention of the Sparse Transformer: the own stretch, and the last tokens of each one.

    t sees s  iff  floor(t / l) = floor(s / l)  or  s mod l >= l - c          (causal: s <= t)

The last c tokens of a stretch of l gather what is in it, and all later tokens read them.
"""

from torch import Tensor

from leanformer.attention.layout import Grid, Layout
from leanformer.attention.mechanism import Heads
from leanformer.attention.pattern import Pattern
from leanformer.core.technique import technique


@technique("fixed", paper="Child et al. 2019 (Sparse Transformer), arXiv:1904.10509")
class Fixed(Pattern):
    """See the own stretch of text and the summarising tokens of the others: for plain text."""

    stretch: int = 128
    """Tokens of a stretch."""
    summary: int = 8
    """Tokens at the end of each stretch that are seen from everywhere."""

    def __post_init__(self) -> None:
        if not 1 <= self.summary <= self.stretch:
            raise ValueError(
                f"summary: {self.summary} of the {self.stretch} tokens of a stretch; "
                f"it is 1 to {self.stretch}"
            )

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        size, begin = self.stretch, self.stretch - self.summary

        def sees(query: Tensor, key: Tensor) -> Tensor:
            return (query // size == key // size) | (key % size >= begin)

        def spans(first: int, last: int) -> list[tuple[int, int]]:
            return [(first // size * size, ((last - 1) // size + 1) * size)]

        columns = tuple(place for place in range(grid.length) if place % size >= begin)
        return (Layout(sees=sees, spans=spans, columns=columns),)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`."""
        whole = min(self.stretch, length) + length * self.summary / self.stretch
        return whole / 2 if heads.causal else whole
