"""Patterns of attention in blocks of queries: only the keys that a block may see are read.

For each block of queries the blocks of keys within its spans are put beside each other, after them
the columns, after them the blocks chosen for its head or its text, and a kernel (torch's
`scaled_dot_product_attention`) runs once over that, with a mask for what is seen of it. Nothing is
gathered token by token and no score outlives its block, so that time and memory follow the
pattern.

Legend: B batch, H head, T token, D head width, N query block, C chosen block, K tokens of a query
block, W keys that it reads, G column.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.in_blocks import Columns, DrawnBlocks, InBlocks, joined
from leanformer.attention.layout import Layout

BLOCK = 128  # measured on Zen 4 at 4k and 8k: 64 is slower forward, 256 no faster backward

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""(query_BHKD, key_BHWD, value_BHWD, mask_BHKW) → what the block takes, [B, H, K, any]. The mask is
True where a key is seen; or what is added to the scores, where no row is empty; or None."""


@dataclass(frozen=True)
class Reading:
    """What one block of queries reads.

    Attributes:
        first: Place of its first query.
        last: Place after its last query.
        blocks: Numbers of the key blocks within its spans.
        columns: [G] places of columns outside these blocks.
        chosen: [B or 1, H or 1, C] numbers of chosen blocks, below 0 = none; None = no layout
            chooses.
        sees: [B or 1, H or 1, K, W] what is seen of these keys, in this order; None = everything.
        bias: The same as what is added to scores, where readings are kept and no row is empty.
    """

    first: int
    last: int
    blocks: tuple[int, ...]
    columns: Tensor
    chosen: Tensor | None
    sees: Tensor | None
    bias: Tensor | None = None


def block_size(layouts: tuple[Layout, ...]) -> int:
    """Tokens of a block of queries: of the chosen blocks, where there are some."""
    return next((layout.size for layout in layouts if layout.size is not None), BLOCK)


def columns_of(layouts: tuple[Layout, ...], length: int) -> list[int]:
    """Places of a text that are seen from everywhere, in order."""
    return sorted({place for layout in layouts for place in layout.columns if place < length})


def readings(
    layouts: tuple[Layout, ...], length: int, causal: bool, device: torch.device
) -> Iterator[Reading]:
    """What each block of queries reads, first block first."""
    shared = [layout for layout in layouts if layout.chosen is None]
    block = block_size(layouts)
    columns = columns_of(layouts, length)
    dense = {
        one for one, count in Counter(at // block for at in columns).items() if 2 * count > block
    }
    for first in range(0, length, block):
        last = min(first + block, length)
        end = last if causal else length
        spans = [span for layout in shared for span in layout.spans(first, last)]
        # a block of columns for the most part is read where it stands
        spans += [(one * block, one * block + block) for one in dense]
        blocks = tuple(_blocks(spans, end, block))
        apart = [place for place in columns if place < end and place // block not in blocks]
        outside = torch.tensor(apart, dtype=torch.long, device=device)
        within = [torch.arange(one * block, min(one * block + block, length)) for one in blocks]
        key = torch.cat([*(one.to(device) for one in within), outside])[None, None, None]
        query = torch.arange(first, last, device=device)[None, None, :, None]
        sees = seen_by(shared, query, key, causal)
        chosen, more = _chosen(layouts, shared, first // block, query, length, causal)
        sees = _beside([sees, *more], last - first)
        yield Reading(first, last, blocks, outside, chosen, sees)


def tidied(reads: Iterable[Reading]) -> Iterator[Reading]:
    """The same without masks that hide nothing, and with one mask where neighbours have equal
    ones, as all blocks between the ends of a text: worth the while where they are kept."""
    before: Reading | None = None
    for reading in reads:
        sees, bias = reading.sees, None
        if sees is not None and bool(sees.all()):
            sees = None
        elif before is not None and before.sees is not None and _equal(sees, before.sees):
            sees, bias = before.sees, before.bias
        elif sees is not None and bool(sees.any(-1).all()):
            bias = bias_of(sees, torch.float32)
        before = replace(reading, sees=sees, bias=bias)
        yield before


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.shape == other.shape and torch.equal(one, other)


def bias_of(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores: 0 where a key is seen, else a number so low that it leaves nothing.

    Minus infinity would make NaN of an empty row. Arithmetic is five times as fast as `where` on a
    CPU.
    """
    return sees.to(dtype).sub_(1).mul_(torch.finfo(dtype).max / 4)


def _chosen(
    layouts: tuple[Layout, ...],
    before: list[Layout],
    number: int,
    query: Tensor,
    length: int,
    causal: bool,
) -> tuple[Tensor | None, list[Tensor]]:
    """The blocks that are chosen for a block of queries, and what is seen of them and nowhere
    before."""
    numbers, masks = [], []
    for layout in layouts:
        if layout.chosen is not None:
            numbers.append(layout.chosen[:, :, number])
            place = chosen_places(numbers[-1], block_size(layouts))
            there = (place >= 0) & (place < length)
            sees = seen_by([layout], query, place, causal) & there
            masks.append(sees & ~seen_by(before, query, place, False))
            before = [*before, layout]
    if not numbers:
        return None, []
    batch, heads = (max(one.shape[axis] for one in numbers) for axis in (0, 1))
    return torch.cat([one.expand(batch, heads, -1) for one in numbers], 2), masks


def chosen_places(chosen_BHC: Tensor, size: int) -> Tensor:
    """The places of chosen blocks, [B, H, 1, C * size]; -1 where there is no block."""
    within = torch.arange(size, device=chosen_BHC.device)
    places = chosen_BHC[..., None] * size + within
    return places.masked_fill(chosen_BHC[..., None] < 0, -1).flatten(2)[:, :, None]


def _blocks(spans: list[tuple[int, int]], end: int, block: int) -> Iterator[int]:
    """Numbers of the key blocks that some spans touch, in order."""
    found: set[int] = set()
    for start, stop in spans:
        start, stop = max(start, 0), min(stop, end)
        if start < stop:
            found.update(range(start // block, (stop - 1) // block + 1))
    yield from sorted(found)


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
    queries = query_BHTD.split(block, 2)
    texts = [InBlocks(x, block) for x in (key_BHTD, value_BHTD)]
    drawn = [DrawnBlocks(x, block) for x in (key_BHTD, value_BHTD)]
    places = torch.tensor(columns_of(layouts, key_BHTD.shape[2]), device=key_BHTD.device)
    apart = [Columns(x, places.long()) for x in (key_BHTD, value_BHTD)]
    pieces = []
    for number, reading in enumerate(reads):
        key, value = (text.of(reading.blocks) for text in texts)
        if reading.columns.numel():
            key.append(apart[0].of(reading.columns))
            value.append(apart[1].of(reading.columns))
        if reading.chosen is not None:
            key.append(drawn[0](reading.chosen))
            value.append(drawn[1](reading.chosen))
        sees = reading.sees if reading.bias is None else reading.bias
        if keep_BT is not None:
            sees = _kept(reading, keep_BT, block)
        if not key:  # nothing is seen from here
            key, value = [key_BHTD[:, :, :1]], [value_BHTD[:, :, :1]]
            sees = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=key_BHTD.device)
        pieces.append(kernel(queries[number], joined(key), joined(value), sees))
    return torch.cat(pieces, 2)


def _kept(reading: Reading, keep_BT: Tensor, block: int) -> Tensor:
    """What is seen, without the places that are hidden, [B, H or 1, K or 1, W]."""
    shared = [keep_BT[:, one * block : one * block + block] for one in reading.blocks]
    parts = [torch.cat([*shared, keep_BT[:, reading.columns]], 1)[:, None, None]]
    if reading.chosen is not None:
        places = chosen_places(reading.chosen, block).clamp(min=0, max=keep_BT.shape[1] - 1)
        places = places.expand(len(keep_BT), -1, -1, -1)
        parts.append(keep_BT[:, None, None].expand(-1, places.shape[1], -1, -1).gather(3, places))
    kept = _beside(parts, 1)
    return kept if reading.sees is None else reading.sees & kept


def _beside(parts: list[Tensor], queries: int) -> Tensor:
    """Masks over different keys as one."""
    batch, heads = (max(part.shape[axis] for part in parts) for axis in (0, 1))
    return torch.cat([part.expand(batch, heads, queries, -1) for part in parts], dim=-1)


def sdpa(scaling: float, dropout: float, *, empty: bool = True) -> Kernel:
    """torch's `scaled_dot_product_attention`; a row that sees nothing is 0.

    Args:
        scaling: Factor of the scores.
        dropout: Share of the weights that are dropped.
        empty: Whether there may be such rows; to look for them costs a pass over the mask.
    """

    def kernel(query: Tensor, key: Tensor, value: Tensor, sees: Tensor | None) -> Tensor:
        if sees is None:
            return F.scaled_dot_product_attention(
                query, key, value, dropout_p=dropout, scale=scaling
            )
        whole = sees.is_floating_point()
        bias = sees.to(query.dtype) if whole else bias_of(sees, query.dtype)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.expand(*sees.shape[:2], query.shape[2], -1),
            dropout_p=dropout,
            scale=scaling,
        )
        if whole or not empty:
            return mixed
        return mixed.masked_fill(bias.amax(-1, keepdim=True) < 0, 0)

    return kernel
