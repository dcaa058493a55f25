"""Blockwise attention (BlockBERT): each head lets a block of tokens see one block alone.

    t sees s  iff  perm_h(floor(t / size)) = floor(s / size),    perm_h(n) = n + shift_h mod blocks

Most heads see their own block (shift 0); a few see the next one, so that texts are read as a whole
over several layers. In causal layers a shift looks back, and the first blocks see the first one.

Legend: B batch, H head, N query block.
"""

import torch
from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern
from leanformer.core.ranges import Count, Index
from leanformer.core.technique import technique


@technique("blockwise", paper="Qiu et al. 2020 (BlockBERT), arXiv:1911.02972")
class Blockwise(Pattern):
    """See one block of the text, which one depends on the head: the cheapest of all patterns."""

    block_size: Count = 128
    """Tokens of a block."""
    shifts: tuple[Index, ...] = (0, 0, 0, 0, 0, 1)
    """Blocks from the own to the seen one, head by head, begun again where heads are left."""

    def __post_init__(self) -> None:
        if not self.shifts:
            raise ValueError("shifts: none is named; name one or more, each 0 or more")

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        shared = set(self.shifts) == {0}
        chosen = self._permuted(grid)

        def mask_mod(query: Tensor, key: Tensor) -> Tensor:
            if shared:
                return query // self.block_size == key // self.block_size
            block = (query // self.block_size).clamp(max=chosen.shape[2] - 1)
            shape = [max(a, b) for a, b in zip(chosen.shape[:2], block.shape[:2], strict=True)]
            table = chosen.expand(*shape, -1, -1)
            return table.gather(2, block.expand(*shape, -1, -1)) == key // self.block_size

        def key_ranges(first: int, last: int) -> list[tuple[int, int]]:
            return [
                (
                    first // self.block_size * self.block_size,
                    ((last - 1) // self.block_size + 1) * self.block_size,
                )
            ]

        if shared:
            return (Layout(mask_mod=mask_mod, key_ranges=key_ranges),)
        return (Layout(mask_mod=mask_mod, block_indices=chosen, block_size=self.block_size),)

    def _permuted(self, grid: Grid) -> Tensor:
        """The block that each block sees, [B or 1, H, N, 1]."""
        blocks = -(-grid.length // self.block_size)
        own = torch.arange(blocks, device=grid.device)[None, None, :, None]
        turns = [self.shifts[head % len(self.shifts)] for head in range(grid.heads.num_heads)]
        shift = torch.tensor(turns, device=grid.device)[None, :, None, None]
        if grid.heads.causal:
            return (own - shift).clamp(min=0)
        there = torch.tensor([blocks], device=grid.device)
        if grid.lengths is not None:
            there = (-(-grid.lengths // self.block_size)).clamp(min=1)
        return (own + shift) % there[:, None, None, None]

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`."""
        size = min(self.block_size, length)
        if not heads.causal:
            return float(size)
        own = sum(shift == 0 for shift in self.shifts) / len(self.shifts)
        return own * size / 2 + (1 - own) * size
