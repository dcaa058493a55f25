"""Random blocks (BigBird): besides its own block, each block of tokens sees a few drawn ones.

A random graph of few edges connects any two tokens in few steps. Which blocks a block sees is a
hash of the seed, the head and the two blocks, and the best hashes win: so it depends on nothing
else, neither on how much padding there is nor on the rest of the batch, and in causal layers on no
later block.

Legend: B batch, H head, N query block, M key block, C chosen block, T token.
"""

import torch
from torch import Tensor

from leanformer.attention.heads import Heads
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.patterns.pattern import Pattern, Role
from leanformer.core.ranges import Count, Seed
from leanformer.core.technique import technique

_LOW = 0xFFFFFFFF


def hashed(*numbers: Tensor | int) -> Tensor:
    """A well mixed 32-bit number for each combination of numbers, which broadcast; int64."""
    mixed = torch.zeros((), dtype=torch.int64)
    for number in numbers:
        mixed = (number + 0x9E3779B9 + mixed * 31) & _LOW
        mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & _LOW
        mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & _LOW
        mixed = mixed ^ (mixed >> 16)
    return mixed


def drawn_blocks(
    blocks: int, heads: int, count: int, seed: int, *, causal: bool, there_B: Tensor
) -> Tensor:
    """For each block of queries `count` other blocks of its text, [B, H, N, C]; -1 = none left.

    Args:
        blocks: Blocks of the longest text.
        heads: Heads; each draws for itself.
        count: Blocks to draw.
        seed: Of the draw.
        causal: Whether only earlier blocks can be drawn.
        there_B: Blocks that each text has.
    """
    place = torch.arange(blocks, device=there_B.device)
    head = torch.arange(heads, device=there_B.device)
    query, key = place[:, None], place[None]
    ranks = hashed(seed, head[:, None, None], query, key)[None].expand(len(there_B), -1, -1, -1)
    open_ = (key < query if causal else key != query) & (key < there_B[:, None, None, None])
    best = ranks.masked_fill(~open_, -1).topk(min(count, blocks), dim=-1)
    return best.indices.masked_fill(best.values < 0, -1)


@technique("random-blocks", paper="Zaheer et al. 2020 (BigBird), arXiv:2007.14062")
class RandomBlocks(Pattern):
    """See the own block and a few random ones: short ways between distant tokens, in a union."""

    num_random_blocks: Count = 3
    """Random blocks that each block of tokens sees."""
    block_size: Count = 64
    """Tokens of a block."""
    seed: Seed = 0
    """Of the draw; give layers different ones and a token reaches more of the text."""

    @property
    def roles(self) -> frozenset[Role]:
        """See `Pattern.roles`."""
        return frozenset({"random-blocks"})

    def layouts(self, grid: Grid) -> tuple[Layout, ...]:
        """See `Pattern.layouts`."""
        blocks, size = -(-grid.length // self.block_size), self.block_size
        there = torch.tensor([grid.length], device=grid.device)
        if grid.lengths is not None and not grid.heads.causal:
            there = grid.lengths
        chosen = drawn_blocks(
            blocks,
            grid.heads.num_heads,
            self.num_random_blocks,
            self.seed,
            causal=grid.heads.causal,
            there_B=-(-there // size),
        )

        def own(query: Tensor, key: Tensor) -> Tensor:
            return query // size == key // size

        def mask_mod(query: Tensor, key: Tensor) -> Tensor:
            shape = (max(len(chosen), len(query)), chosen.shape[1])
            table = chosen.expand(*shape, -1, -1)
            block = (query // size).expand(*shape, -1, chosen.shape[3])
            seen_BHTC = table.gather(2, block)
            found = seen_BHTC[..., :1] == key // size
            for one in range(1, chosen.shape[3]):
                found = found | (seen_BHTC[..., one : one + 1] == key // size)
            return found

        def key_ranges(first: int, last: int) -> list[tuple[int, int]]:
            return [(first // size * size, ((last - 1) // size + 1) * size)]

        return (
            Layout(mask_mod=own, key_ranges=key_ranges),
            Layout(mask_mod=mask_mod, block_indices=chosen, block_size=size),
        )

    def seen(self, heads: Heads, length: int) -> float:
        """See `Pattern.seen`."""
        size, blocks = min(self.block_size, length), -(-length // self.block_size)
        if heads.causal:
            earlier = sum(min(self.num_random_blocks, block) for block in range(blocks)) / blocks
            return size / 2 + earlier * size
        return size * (1 + min(self.num_random_blocks, blocks - 1))
