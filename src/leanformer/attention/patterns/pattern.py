"""Patterns: which keys a token attends to, by position alone. They join under one softmax:

    SlidingWindow(left=256, right=256) | GlobalTokens(tokens=(0,)) | RandomBlocks()

A pattern is a description; laid over texts of one length it is one or more layouts
(`leanformer.attention.kernels.layout`).
"""

from abc import abstractmethod
from dataclasses import replace
from functools import reduce
from math import gcd
from typing import ClassVar, Literal

import torch
from torch import Tensor

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.attention.patterns.pattern_attention import PatternAttention
from leanformer.core.technique import technique

SMALLEST = 16  # tokens of a block; below it more time goes into calls than into products

Role = Literal["first-token", "wide-window", "block-window", "random-blocks"]
"""What a pattern contributes to a union whose effect on a trained model was measured."""


class Pattern(Mechanism):
    """A mechanism told by the places that a token sees."""

    capabilities: ClassVar[Capabilities] = Capabilities(dropout=True)
    position_dependent: ClassVar[bool] = True
    """Whether what a token sees depends on its distance from the beginning."""

    @property
    def roles(self) -> frozenset[Role]:
        """What it contributes to the unions that were measured, see `Union.capabilities`."""
        return frozenset()

    @abstractmethod
    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """The pattern over texts: what is seen is what any of them sees."""

    @abstractmethod
    def seen(self, heads: Heads, length: int) -> float:
        """Keys that a query sees, on average over a text of `length` tokens."""

    def __or__(self, other: "Pattern") -> "Pattern":
        """What this pattern sees or the other."""
        return Union(patterns=(*_parts(self), *_parts(other)))

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        return PatternAttention(
            self.layouts, heads, self.capabilities, position_dependent=self.position_dependent
        )

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: two products of each query with what it sees."""
        scores = round(length * self.seen(heads, length))
        return Cost(flops=4 * scores * heads.head_dim, scores=scores)


def _parts(pattern: Pattern) -> tuple[Pattern, ...]:
    return tuple(getattr(pattern, "patterns", (pattern,)))


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
    def position_dependent(self) -> bool:  # type: ignore[override]  # as its patterns are
        """Whether any of its patterns is."""
        return any(pattern.position_dependent for pattern in self.patterns)

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
        sizes = {layout.block_size for layout in layouts if layout.block_size is not None}
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
    """Whether the union attends to at least what a measured one did (Longformer's, BigBird's)."""
    roles = frozenset[Role]().union(*(pattern.roles for pattern in patterns))
    near = "wide-window" in roles or {"block-window", "random-blocks"} <= roles
    return near and "first-token" in roles


def _finer(layout: Layout, size: int, length: int) -> Layout:
    """The same layout with blocks of `size` tokens, which divides its own."""
    if layout.block_size is None or layout.block_size == size or layout.block_indices is None:
        return layout
    parts = layout.block_size // size
    blocks = layout.block_indices[..., None] * parts + torch.arange(
        parts, device=layout.block_indices.device
    )
    blocks = blocks.masked_fill(layout.block_indices[..., None] < 0, -1).flatten(3)
    chosen: Tensor = blocks.repeat_interleave(parts, dim=2)[:, :, : -(-length // size)]
    return replace(layout, block_indices=chosen, block_size=size)
