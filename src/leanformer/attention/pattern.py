"""Patterns: which keys a token sees, told from places alone. They join under one softmax:

    SlidingWindow(left=256, right=256) | GlobalTokens(tokens=(0,)) | RandomBlocks(count=3)

A pattern says the same thing twice: `Layout.sees` for any query place i and key place j, the
oracle, and where in the text the keys of neighbouring queries lie, so that nothing else is read
(`leanformer.attention.blocked`).

Legend: B batch, H head, N query block, C chosen block, T token, S key token.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from leanformer.attention.mechanism import Attention, Capabilities, Cost, Heads, Mechanism


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The texts that a pattern is laid over.

    Attributes:
        length: Places of each text, hidden ones included.
        heads: Of the layer.
        device: Where tensors are made.
        lengths: [B] places of the text that are there; they stand first. None = all of them.
    """

    length: int
    heads: Heads
    device: torch.device
    lengths: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A pattern laid over texts of one length.

    Attributes:
        sees: From query places and key places, which broadcast to [B, H, T, S] (B and H may be 1),
            to True where a query sees a key; causality and hidden places are not its affair.
        spans: The stretches of keys that the queries of [first, last) see, all heads alike.
        columns: Places of keys that are seen from everywhere.
        rows: Places of queries that see everything.
        chosen: [B or 1, H or 1, N, C] for each block of `size` queries further blocks of keys,
            which differ by head or text; below 0 = none.
        size: Tokens of a chosen block.
        stride: Queries see keys a multiple of this far away, in bands of `spans` counted in
            strides; 1 = an ordinary layout.
    """

    sees: Callable[[Tensor, Tensor], Tensor]
    spans: Callable[[int, int], list[tuple[int, int]]] = lambda first, last: []
    columns: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    chosen: Tensor | None = None
    size: int | None = None
    stride: int = 1


class Pattern(Mechanism):
    """A mechanism told by the places that a token sees."""

    capabilities: ClassVar[Capabilities] = Capabilities(dropout=True)
    anchored: ClassVar[bool] = True
    """Whether what a token sees depends on its distance from the beginning."""

    @abstractmethod
    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """The pattern over texts: what is seen is what any of them sees."""

    @abstractmethod
    def seen(self, heads: Heads, length: int) -> float:
        """Keys that a query sees, on average over a text of `length` tokens."""

    def __or__(self, other: "Pattern") -> "Pattern":
        """What this pattern sees or the other."""
        from leanformer.attention.patterns.union import Union  # it is a pattern itself

        return Union(patterns=(*_parts(self), *_parts(other)))

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        from leanformer.attention.pattern_attention import PatternAttention

        self.check(heads)
        return PatternAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: two products of each query with what it sees."""
        scores = round(length * self.seen(heads, length))
        return Cost(flops=4 * scores * heads.head_dim, scores=scores)


def _parts(pattern: Pattern) -> tuple[Pattern, ...]:
    return tuple(getattr(pattern, "patterns", (pattern,)))
