"""Patterns by torch's FlexAttention: the kernel of choice on a GPU, and for inference on a CPU.

FlexAttention wants to know which tiles of the T x S scores are empty, full or mixed, and asks a
function about each score of a mixed one. Few of the mixed tiles differ (a window has two, wherever
it stands), so each kind is kept once and the function looks it up:

    sees(h, q, k) = kinds[ which[h, q / 128, k / 128], q mod 128, k mod 128 ]

It is the same function for every pattern, which is why compiled code serves them all.

What FlexAttention cannot do is left to `leanformer.attention.blocked`: dropout, gradients on a CPU,
blocks chosen text by text.

Legend: B batch, H head, T token, S key token, D head width, N query tile, M key tile, U kind.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from leanformer.attention.blocked import block_size, seen_by
from leanformer.attention.layout import Layout

TILE = 128  # FlexAttention's own; its kernels are slower with less
EMPTY, FULL = 0, 1


@dataclass(frozen=True, eq=False)
class Tiles:
    """A pattern over texts of one length.

    Attributes:
        which: [H or 1, N, M] kind of each tile: `EMPTY`, `FULL`, or another.
        kinds: [U, 128, 128] True where a query sees a key, kind by kind.
        length: Tokens.
    """

    which: Tensor
    kinds: Tensor
    length: int


def tiles_of(layouts: tuple[Layout, ...], length: int, causal: bool, device: torch.device) -> Tiles:
    """A pattern tile by tile; only tiles that a layout reaches are looked at.

    Args:
        layouts: The pattern, the same for all texts; rows that see everything are not minded.
        length: Tokens.
        causal: Whether later keys are left out.
        device: Where the layouts' tensors are, and the tiles will be.
    """
    count = -(-length // TILE)
    heads = max([1, *(one.chosen.shape[1] for one in layouts if one.chosen is not None)])
    which = torch.zeros(heads, count, count, dtype=torch.int32)
    empty = torch.zeros(TILE, TILE, dtype=torch.bool)
    kinds = {_name(empty): empty, _name(~empty): ~empty}  # in the order of EMPTY and FULL
    numbers = {name: number for number, name in enumerate(kinds)}
    within = torch.arange(TILE, device=device)
    for tile in range(count):
        query = tile * TILE + within
        reached = sorted(set(_reached(layouts, tile, length, causal)))
        key = torch.cat([one * TILE + within for one in reached])
        sees = seen_by(
            list(layouts), query.clamp(max=length - 1)[None, None, :, None], key[None, None, None],
            causal,
        )  # fmt: skip
        sees = sees & (query < length)[:, None] & (key < length)
        apart = sees[0].cpu().unflatten(-1, (-1, TILE)).transpose(1, 2)
        for head in range(len(apart)):
            for one, mask in zip(reached, apart[head], strict=True):
                name = _name(mask)
                if name not in numbers:
                    numbers[name], kinds[name] = len(numbers), mask
                rows = slice(None) if len(apart) < heads else head
                which[rows, tile, one] = numbers[name]
    return Tiles(which.to(device), torch.stack(list(kinds.values())).to(device), length)


def _name(mask: Tensor) -> bytes:
    return mask.numpy().tobytes()


def _reached(layouts: tuple[Layout, ...], tile: int, length: int, causal: bool) -> Iterator[int]:
    """Numbers of the key tiles that some layout reaches from a tile of queries."""
    first, last = tile * TILE, min(tile * TILE + TILE, length)
    end = last if causal else length
    size = block_size(layouts)
    for layout in layouts:
        for start, stop in layout.spans(first, last):
            if layout.stride > 1:
                start, stop = 0, length  # a band in strides reaches across the text
            yield from range(max(start, 0) // TILE, -(-min(stop, end) // TILE))
        yield from (place // TILE for place in layout.columns if place < end)
        if layout.chosen is not None:
            blocks = layout.chosen[:, :, first // size : -(-last // size)].unique().tolist()
            for block in blocks:
                stop = min((block + 1) * size, end)
                yield from range(max(block * size, 0) // TILE, -(-stop // TILE))
    yield tile  # so that there is one


def block_mask(tiles: Tiles, keep_BT: Tensor | None) -> BlockMask:
    """The pattern as FlexAttention takes it, without the places that are hidden."""
    which = tiles.which[None]
    full, mixed = which == FULL, which > FULL
    if keep_BT is not None:
        more = -keep_BT.shape[1] % TILE
        there = F.pad(keep_BT, (0, more)).unflatten(1, (-1, TILE))
        whole, some = (x[:, None, None] for x in (there.all(-1), there.any(-1)))
        full, mixed = full & whole, (mixed & some) | (full & some & ~whole)
    heads = tiles.which.shape[0]

    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        kind = tiles.which[head if heads > 1 else 0, query // TILE, key // TILE]
        seen = tiles.kinds[kind, query % TILE, key % TILE]
        return seen if keep_BT is None else seen & keep_BT[batch, key]

    return BlockMask.from_kv_blocks(
        *_listed(mixed),
        *_listed(full),
        BLOCK_SIZE=TILE,
        mask_mod=sees,
        seq_lengths=(tiles.length, tiles.length),
    )


def _listed(tiles_BHNM: Tensor) -> tuple[Tensor, Tensor]:
    """How many tiles each tile of queries has, [B, H, N], and their numbers first, [B, H, N, M]."""
    numbers = tiles_BHNM.to(torch.int8).argsort(dim=-1, descending=True, stable=True)
    return tiles_BHNM.sum(-1).to(torch.int32), numbers.to(torch.int32)


def flexed(
    query_BHTD: Tensor,
    key_BHTD: Tensor,
    value_BHTD: Tensor,
    keep_BT: Tensor | None,
    tiles: Tiles,
    scaling: float,
) -> Tensor:
    """What each token takes from what it sees, [B, H, T, D]; a row that sees nothing is 0."""
    mask = block_mask(tiles, keep_BT)
    mixed: Tensor = _compiled()(query_BHTD, key_BHTD, value_BHTD, block_mask=mask, scale=scaling)
    return mixed


@cache
def _compiled() -> Callable[..., Tensor]:
    """FlexAttention in one kernel; uncompiled it would write all scores down."""
    compiled: Callable[..., Tensor] = torch.compile(flex_attention)
    return compiled
