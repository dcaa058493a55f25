"""Patterns of attention in blocks of queries: only the keys that a block may see are read.

For each block of queries the blocks of keys within its spans are put beside each other, after them
the columns, after them the blocks chosen for its head or its text, and a kernel (torch's
`scaled_dot_product_attention`) runs once over that, with a mask for what is seen of it. Nothing is
gathered token by token and no score outlives its block, so that time and memory follow the
pattern.

Legend: B batch, H head, T token, D head width, N query block, C chosen block, K tokens of a query
block, W keys that it reads, G column.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.pattern import Layout

BLOCK = 128  # measured on Zen 4 at 4k and 8k: 64 is slower forward, 256 no faster backward

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""(query_BHKD, key_BHWD, value_BHWD, sees_BHKW or None) → what the block takes, [B, H, K, any]."""


@dataclass(frozen=True)
class Reading:
    """What one block of queries reads, as far as all heads and texts share it.

    Attributes:
        first: Place of its first query.
        last: Place after its last query.
        blocks: Numbers of the key blocks within its spans.
        columns: [G] places of columns outside these blocks.
        sees: [B or 1, H or 1, K, W] what is seen of these keys; None = everything.
    """

    first: int
    last: int
    blocks: tuple[int, ...]
    columns: Tensor
    sees: Tensor | None


def block_size(layouts: tuple[Layout, ...]) -> int:
    """Tokens of a block of queries: of the chosen blocks, where there are some."""
    return next((layout.size for layout in layouts if layout.size is not None), BLOCK)


def readings(
    layouts: tuple[Layout, ...], length: int, causal: bool, device: torch.device
) -> Iterator[Reading]:
    """What each block of queries reads, before blocks are chosen, first block first."""
    shared = [layout for layout in layouts if layout.chosen is None]
    block = block_size(layouts)
    columns = sorted({place for layout in shared for place in layout.columns if place < length})
    before: Reading | None = None
    for first in range(0, length, block):
        last = min(first + block, length)
        end = last if causal else length
        spans = [span for layout in shared for span in layout.spans(first, last)]
        blocks = tuple(_blocks(spans, end, block))
        apart = [place for place in columns if place < end and place // block not in blocks]
        outside = torch.tensor(apart, dtype=torch.long, device=device)
        within = [torch.arange(one * block, min(one * block + block, length)) for one in blocks]
        key = torch.cat([*(one.to(device) for one in within), outside])
        query = torch.arange(first, last, device=device)
        sees = seen_by(shared, query[None, None, :, None], key[None, None, None], causal)
        before = _sharing(
            Reading(first, last, blocks, outside, None if bool(sees.all()) else sees), before
        )
        yield before


def _blocks(spans: list[tuple[int, int]], end: int, block: int) -> Iterator[int]:
    """Numbers of the key blocks that some spans touch, in order."""
    found: set[int] = set()
    for start, stop in spans:
        start, stop = max(start, 0), min(stop, end)
        if start < stop:
            found.update(range(start // block, (stop - 1) // block + 1))
    yield from sorted(found)


def _sharing(reading: Reading, before: Reading | None) -> Reading:
    """With the mask of the block before, if it is equal: between the ends of a text all are."""
    mine, other = reading.sees, before.sees if before else None
    if mine is None or other is None or mine.shape != other.shape or not torch.equal(mine, other):
        return reading
    return Reading(reading.first, reading.last, reading.blocks, reading.columns, other)


def seen_by(layouts: list[Layout], query: Tensor, key: Tensor, causal: bool) -> Tensor:
    """What any of some layouts lets these places see, [B or 1, H or 1, T, S]."""
    sees = torch.zeros_like(query == key)
    for layout in layouts:
        sees = sees | layout.sees(query, key)
    return sees & (key <= query) if causal else sees


def blocked_attention(
    query_BHTD: Tensor,
    key_BHTD: Tensor,
    value_BHTD: Tensor,
    keep_BT: Tensor | None,
    layouts: tuple[Layout, ...],
    reads: Iterable[Reading],
    causal: bool,
    kernel: Kernel,
) -> Tensor:
    """What each token takes from what it sees, [B, H, T, any]; rows of layouts are not minded.

    Args:
        query_BHTD: Queries.
        key_BHTD: Keys.
        value_BHTD: Values.
        keep_BT: True at places of the text; None = all.
        layouts: The pattern.
        reads: What `readings` says of it for texts of this length.
        causal: Whether later keys are left out.
        kernel: Attention of one block.
    """
    block = block_size(layouts)
    queries, keys, values = (x.split(block, 2) for x in (query_BHTD, key_BHTD, value_BHTD))
    keeps = None if keep_BT is None else keep_BT.split(block, 1)
    chosen = _Chosen(key_BHTD, value_BHTD, keep_BT, layouts, causal)
    pieces = []
    for number, reading in enumerate(reads):
        columns = reading.columns
        key = [keys[one] for one in reading.blocks]
        value = [values[one] for one in reading.blocks]
        sees = reading.sees
        if columns.numel():
            key.append(key_BHTD[:, :, columns])
            value.append(value_BHTD[:, :, columns])
        if keeps is not None and keep_BT is not None:
            kept = torch.cat([*(keeps[one] for one in reading.blocks), keep_BT[:, columns]], 1)
            kept = kept[:, None, None]
            sees = kept if sees is None else sees & kept
        sees = chosen.beside(number, reading, key, value, sees)
        if not key:  # nothing is seen from here
            key, value = [key_BHTD[:, :, :1]], [value_BHTD[:, :, :1]]
            sees = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=key_BHTD.device)
        pieces.append(kernel(queries[number], torch.cat(key, 2), torch.cat(value, 2), sees))
    return torch.cat(pieces, 2)


class _Chosen:
    """Blocks that differ by head or by text, gathered once for all blocks of queries."""

    def __init__(
        self,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor | None,
        layouts: tuple[Layout, ...],
        causal: bool,
    ) -> None:
        self.causal = causal
        self.before = [layout for layout in layouts if layout.chosen is None]
        self.layouts = [layout for layout in layouts if layout.chosen is not None]
        self.read = [_gathered(layout, key_BHTD, value_BHTD, keep_BT) for layout in self.layouts]

    def beside(
        self,
        number: int,
        reading: Reading,
        key: list[Tensor],
        value: list[Tensor],
        sees: Tensor | None,
    ) -> Tensor | None:
        """Append what one block of queries reads; returns the mask over everything it reads."""
        if not self.layouts:
            return sees
        device = key[0].device if key else self.read[0][0][0].device
        query = torch.arange(reading.first, reading.last, device=device)[None, None, :, None]
        width = sum(part.shape[2] for part in key)
        parts = [sees if sees is not None else query.new_ones(1, 1, 1, width, dtype=torch.bool)]
        before = list(self.before)
        for layout, (keys, values, places, there) in zip(self.layouts, self.read, strict=True):
            key.append(keys[number])
            value.append(values[number])
            place = places[number][:, :, None]  # [B or 1, H or 1, 1, W]
            new = seen_by([layout], query, place, self.causal) & there[number][:, :, None]
            parts.append(new & ~seen_by(before, query, place, False))
            before.append(layout)
        return _beside(parts, reading.last - reading.first)


def _gathered(
    layout: Layout, key_BHTD: Tensor, value_BHTD: Tensor, keep_BT: Tensor | None
) -> tuple[tuple[Tensor, ...], ...]:
    """Keys, values, places and whether these are there, for each block of queries."""
    assert layout.chosen is not None
    assert layout.size is not None
    size, (batch, heads, length, _) = layout.size, key_BHTD.shape
    chosen_BHNC = layout.chosen
    within = torch.arange(size, device=key_BHTD.device)
    places = (chosen_BHNC.clamp(min=0)[..., None] * size + within).flatten(3)  # [B1, H1, N, W]
    there = (chosen_BHNC[..., None] >= 0).expand(*chosen_BHNC.shape, size).flatten(3)
    there = there & (places < length)
    places = places.clamp(max=length - 1)
    if keep_BT is not None:
        all_places = places.expand(batch, -1, -1, -1)
        there = there & keep_BT[:, None, None].expand(-1, *all_places.shape[1:3], -1).gather(
            3, all_places
        )
    wide = places.expand(batch, heads, -1, -1)
    flat = wide.flatten(2)[..., None]
    keys, values = (
        x.gather(2, flat.expand(-1, -1, -1, x.shape[-1])).unflatten(2, wide.shape[2:]).unbind(2)
        for x in (key_BHTD, value_BHTD)
    )
    return keys, values, places.unbind(2), there.unbind(2)


def _beside(parts: list[Tensor], queries: int) -> Tensor:
    """Masks over different keys as one."""
    batch, heads = (max(part.shape[axis] for part in parts) for axis in (0, 1))
    return torch.cat([part.expand(batch, heads, queries, -1) for part in parts], dim=-1)


def sdpa(scaling: float, dropout: float) -> Kernel:
    """torch's `scaled_dot_product_attention`; a row that sees nothing is 0."""

    def kernel(query: Tensor, key: Tensor, value: Tensor, sees: Tensor | None) -> Tensor:
        if sees is None:
            return F.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout, scale=scaling
            )
        lowest = torch.finfo(query.dtype).min / 2  # minus infinity makes NaN of an empty row
        bias = torch.zeros(sees.shape, dtype=query.dtype, device=query.device)
        bias = bias.masked_fill(~sees, lowest).expand(*sees.shape[:2], query.shape[2], -1)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout, scale=scaling
        )
        return mixed.masked_fill(~sees.any(-1, keepdim=True), 0)

    return kernel
