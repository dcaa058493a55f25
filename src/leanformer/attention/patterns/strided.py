"""Strided attention of the Sparse Transformer: the last tokens, and every l-th before them.

    t sees s  iff  |t - s| < l  or  l divides t - s          (causal: s <= t)

With l near the square root of the length two steps reach every token from any other.
"""

from typing import Annotated

from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern
from leanformer.attention.patterns.sliding_window import in_window
from leanformer.core.ranges import Range
from leanformer.core.technique import technique


@technique("strided", paper="Child et al. 2019 (Sparse Transformer), arXiv:1904.10509")
class Strided(Pattern):
    """See the neighbours and every l-th token: for texts with a period, such as rows of pixels."""

    position_dependent = False

    stride: Annotated[int, Range(at_least=2)] = 64
    """Tokens from one distant key to the next, and neighbours seen beside them, plus one."""

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        reach = self.stride - 1

        def near(query: Tensor, key: Tensor) -> Tensor:
            return in_window(query, key, reach, reach)

        def far(query: Tensor, key: Tensor) -> Tensor:
            return (query - key) % self.stride == 0

        def window(first: int, last: int) -> list[tuple[int, int]]:
            return [(first - reach, last + reach)]

        def column(first: int, last: int) -> list[tuple[int, int]]:
            return [(0, grid.length)]

        return (
            Layout(mask_mod=near, key_ranges=window),
            Layout(mask_mod=far, key_ranges=column, stride=self.stride),
        )

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`."""
        sides = 1 if heads.causal else 2
        reach = min(self.stride - 1, length - 1)
        near = 1 + sides * reach * (1 - (reach + 1) / 2 / length)
        return near + sides * length / self.stride / 2
