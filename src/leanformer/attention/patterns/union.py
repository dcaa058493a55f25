"""Several patterns under one softmax: a token sees what any of them lets it see, each key once."""

from dataclasses import replace
from functools import reduce
from math import gcd

import torch
from torch import Tensor

from leanformer.attention.mechanism import Capabilities, Heads
from leanformer.attention.pattern import Grid, Layout, Pattern
from leanformer.attention.patterns.block_window import BlockWindow
from leanformer.attention.patterns.global_tokens import GlobalTokens
from leanformer.attention.patterns.random_blocks import RandomBlocks
from leanformer.attention.patterns.sliding_window import SlidingWindow
from leanformer.core.technique import technique

SMALLEST = 16  # tokens of a block; below it more time goes into calls than into products


@technique("union", paper="Zaheer et al. 2020 (BigBird), arXiv:2007.14062")
class Union(Pattern):
    """See what any of several patterns sees: written `one | other`."""

    patterns: tuple[Pattern, ...] = ()
    """The patterns."""

    def __post_init__(self) -> None:
        if not self.patterns:
            raise ValueError("patterns: a union of nothing sees nothing; name one or more")
        for number, pattern in enumerate(self.patterns):
            if not isinstance(pattern, Pattern):
                raise ValueError(
                    f"patterns[{number}]: {type(pattern).__name__} chooses by content and cannot "
                    "share a softmax; a union is of patterns alone"
                )

    @property
    def anchored(self) -> bool:  # type: ignore[override]  # as its patterns are
        """Whether any of its patterns is."""
        return any(pattern.anchored for pattern in self.patterns)

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # two kinds were measured
        """What it can do: Longformer's and BigBird's unions were measured in a trained model."""
        return Capabilities(
            dropout=True, swap="keeps" if _measured(self.patterns) else "unmeasured"
        )

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`.

        Raises:
            ValueError: The blocks of two patterns have no common size.
        """
        layouts = [layout for pattern in self.patterns for layout in pattern.layouts(grid)]
        sizes = {layout.size for layout in layouts if layout.size is not None}
        if len(sizes) < 2:
            return tuple(layouts)
        common = reduce(gcd, sizes)
        if common < SMALLEST:
            raise ValueError(
                f"patterns: blocks of {sorted(sizes)} tokens share none of {SMALLEST} or more; "
                "make one size a multiple of the other"
            )
        return tuple(_finer(layout, common, grid.length) for layout in layouts)

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`: at most, as if no two patterns saw the same key."""
        seen = sum(pattern.seen(heads, length) for pattern in self.patterns)
        return min(seen, (length + 1) / 2 if heads.causal else length)


def _measured(patterns: tuple[Pattern, ...]) -> bool:
    """Whether this shows at least what a union did that was measured."""
    everywhere = any(isinstance(one, GlobalTokens) and 0 in one.tokens for one in patterns)
    drawn = any(isinstance(one, RandomBlocks) for one in patterns)
    near = any(
        one.dilation == 1 and min(one.left, one.right) >= 128
        for one in patterns
        if isinstance(one, SlidingWindow)
    )
    blocks = any(isinstance(one, BlockWindow) and one.size * one.reach >= 32 for one in patterns)
    return everywhere and (near or (blocks and drawn))


def _finer(layout: Layout, size: int, length: int) -> Layout:
    """The same layout with blocks of `size` tokens, which divides its own."""
    if layout.size is None or layout.size == size or layout.chosen is None:
        return layout
    parts = layout.size // size
    blocks = layout.chosen[..., None] * parts + torch.arange(parts, device=layout.chosen.device)
    blocks = blocks.masked_fill(layout.chosen[..., None] < 0, -1).flatten(3)
    chosen: Tensor = blocks.repeat_interleave(parts, dim=2)[:, :, : -(-length // size)]
    return replace(layout, chosen=chosen, size=size)
