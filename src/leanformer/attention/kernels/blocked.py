"""Patterns of attention in blocks of queries: each block reads only the keys it may attend to.

For each block of queries a `BlockPlan` lists what it reads, in this order: the key blocks that its
`key_ranges` touch, the global keys outside of these, and the blocks of its `block_indices`. These
keys are put beside each other, and a kernel (torch's `scaled_dot_product_attention`) runs over them
once, under a mask of the pairs that attend. Nothing is gathered token by token and no score
outlives its block, so that time and memory follow the pattern.

Example: a window of 1 token on each side, global token 0, blocks of 4 and a text of 12 tokens. The
queries 8 to 11 have the key range (7, 13), which touches the key blocks 1 and 2; token 0 is outside
of these. They read the keys 4 to 11 and 0, under the mask

    keys        4 5 6 7   8 9 10 11   0
    query  8    . . . x   x x  .  .   x
    query  9    . . . .   x x  x  .   x
    query 10    . . . .   . x  x  x   x
    query 11    . . . .   . .  x  x   x

Legend: B batch, H head, T token, D head width, N query block, C selected block, K tokens of a query
block, W keys that it reads, G global key.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.kernels.in_blocks import GlobalKeys, InBlocks, SelectedBlocks, joined
from leanformer.attention.kernels.layout import Layout

BLOCK = 128  # measured on Zen 4 at 4k and 8k: 64 is slower forward, 256 no faster backward

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""(query_BHKD, key_BHWD, value_BHWD, mask_BHKW) → what the block takes, [B, H, K, any]. The mask is
True where a query attends to a key; or what is added to the scores, where no row is empty; or
None, where every query attends to every key."""


@dataclass(frozen=True)
class BlockPlan:
    """What one block of queries reads.

    Attributes:
        first: Position of its first query.
        last: Position after its last query.
        blocks: Indices of the key blocks that its key ranges touch.
        global_keys: [G] positions of global keys outside these blocks.
        block_indices: [B or 1, H or 1, C] indices of selected blocks, below 0 = none; None = no
            layout selects any.
        mask: [B or 1, H or 1, K, W] True where a query attends to one of these keys, in this order;
            None = everywhere.
        bias: The mask as what is added to scores, where plans are kept and no row is empty.
    """

    first: int
    last: int
    blocks: tuple[int, ...]
    global_keys: Tensor
    block_indices: Tensor | None
    mask: Tensor | None
    bias: Tensor | None = None


def block_size(layouts: tuple[Layout, ...]) -> int:
    """Tokens of a block of queries: as many as of the selected blocks, where there are some."""
    return next((layout.block_size for layout in layouts if layout.block_size is not None), BLOCK)


def global_keys_of(layouts: tuple[Layout, ...], length: int) -> list[int]:
    """Positions of a text that every query attends to, in order."""
    return sorted({place for layout in layouts for place in layout.global_keys if place < length})


def plan_blocks(
    layouts: tuple[Layout, ...], length: int, causal: bool, device: torch.device
) -> Iterator[BlockPlan]:
    """The plan of each block of queries, first block first."""
    shared = [layout for layout in layouts if layout.block_indices is None]
    block = block_size(layouts)
    columns = global_keys_of(layouts, length)
    dense = {
        one for one, count in Counter(at // block for at in columns).items() if 2 * count > block
    }
    for first in range(0, length, block):
        last = min(first + block, length)
        end = last if causal else length
        spans = [span for layout in shared for span in layout.key_ranges(first, last)]
        # a block that is mostly global keys is read where it stands
        spans += [(one * block, one * block + block) for one in dense]
        blocks = tuple(_blocks(spans, end, block))
        apart = [place for place in columns if place < end and place // block not in blocks]
        outside = torch.tensor(apart, dtype=torch.long, device=device)
        within = [torch.arange(one * block, min(one * block + block, length)) for one in blocks]
        key = torch.cat([*(one.to(device) for one in within), outside])[None, None, None]
        query = torch.arange(first, last, device=device)[None, None, :, None]
        sees = mask_of(shared, query, key, causal)
        chosen, more = _selected(layouts, shared, first // block, query, length, causal)
        sees = _beside([sees, *more], last - first)
        yield BlockPlan(first, last, blocks, outside, chosen, sees)


def compress_plans(plans: Iterable[BlockPlan]) -> Iterator[BlockPlan]:
    """The same plans without masks that are True everywhere, and with one mask for neighbors whose
    masks are equal, as in a window between the ends of a text; worth it where plans are kept."""
    before: BlockPlan | None = None
    for plan in plans:
        sees, bias = plan.mask, None
        if sees is not None and bool(sees.all()):
            sees = None
        elif before is not None and before.mask is not None and _equal(sees, before.mask):
            sees, bias = before.mask, before.bias
        elif sees is not None and bool(sees.any(-1).all()):
            bias = bias_of(sees, torch.float32)
        before = replace(plan, mask=sees, bias=bias)
        yield before


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.shape == other.shape and torch.equal(one, other)


def bias_of(sees: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as what is added to scores: 0 where a query attends to a key, else so low a number
    that nothing of the key is left.

    Minus infinity would make NaN of an empty row. Arithmetic is five times as fast as `where` on a
    CPU.
    """
    return sees.to(dtype).sub_(1).mul_(torch.finfo(dtype).max / 4)


def _selected(
    layouts: tuple[Layout, ...],
    before: list[Layout],
    number: int,
    query: Tensor,
    length: int,
    causal: bool,
) -> tuple[Tensor | None, list[Tensor]]:
    """The blocks selected for a block of queries, and for each layout the mask of what it adds to
    the layouts before it."""
    numbers, masks = [], []
    for layout in layouts:
        if layout.block_indices is not None:
            numbers.append(layout.block_indices[:, :, number])
            place = selected_positions(numbers[-1], block_size(layouts))
            there = (place >= 0) & (place < length)
            sees = mask_of([layout], query, place, causal) & there
            masks.append(sees & ~mask_of(before, query, place, False))
            before = [*before, layout]
    if not numbers:
        return None, []
    batch, heads = (max(one.shape[axis] for one in numbers) for axis in (0, 1))
    return torch.cat([one.expand(batch, heads, -1) for one in numbers], 2), masks


def selected_positions(indices_BHC: Tensor, size: int) -> Tensor:
    """The positions of selected blocks, [B, H, 1, C * size]; -1 where there is no block."""
    within = torch.arange(size, device=indices_BHC.device)
    places = indices_BHC[..., None] * size + within
    return places.masked_fill(indices_BHC[..., None] < 0, -1).flatten(2)[:, :, None]


def _blocks(spans: list[tuple[int, int]], end: int, block: int) -> Iterator[int]:
    """Indices of the key blocks that some ranges touch, in order."""
    found: set[int] = set()
    for start, stop in spans:
        start, stop = max(start, 0), min(stop, end)
        if start < stop:
            found.update(range(start // block, (stop - 1) // block + 1))
    yield from sorted(found)


def mask_of(layouts: list[Layout], query: Tensor, key: Tensor, causal: bool) -> Tensor:
    """True where any of the layouts lets a query attend to a key, [B or 1, H or 1, T, S]."""
    sees = torch.zeros_like(query == key)
    for layout in layouts:
        sees = sees | layout.mask_mod(query, key)
    return sees & (key <= query) if causal else sees


def blocked_attention(
    query_BHTD: Tensor,
    key_BHTD: Tensor,
    value_BHTD: Tensor,
    keep_BT: Tensor | None,
    layouts: tuple[Layout, ...],
    plans: Iterable[BlockPlan],
    causal: bool,
    kernel: Kernel,
) -> Tensor:
    """What each token takes from the keys it attends to, [B, H, T, any].

    Global queries (`Layout.global_queries`) are left to the caller.

    Args:
        query_BHTD: Queries.
        key_BHTD: Keys.
        value_BHTD: Values.
        keep_BT: True at tokens of the text, False at padding; None = all.
        layouts: The pattern.
        plans: From `plan_blocks`, for texts of this length.
        causal: Whether later keys are left out.
        kernel: Attention of one block.
    """
    block = block_size(layouts)
    queries = query_BHTD.split(block, 2)
    texts = [InBlocks(x, block) for x in (key_BHTD, value_BHTD)]
    selected = [SelectedBlocks(x, block) for x in (key_BHTD, value_BHTD)]
    places = torch.tensor(global_keys_of(layouts, key_BHTD.shape[2]), device=key_BHTD.device)
    apart = [GlobalKeys(x, places.long()) for x in (key_BHTD, value_BHTD)]
    pieces = []
    for number, plan in enumerate(plans):
        key, value = (text.gather_blocks(plan.blocks) for text in texts)
        if plan.global_keys.numel():
            key.append(apart[0].gather(plan.global_keys))
            value.append(apart[1].gather(plan.global_keys))
        if plan.block_indices is not None:
            key.append(selected[0](plan.block_indices))
            value.append(selected[1](plan.block_indices))
        sees = plan.mask if plan.bias is None else plan.bias
        if keep_BT is not None:
            sees = _kept(plan, keep_BT, block)
        if not key:  # these queries attend to nothing
            key, value = [key_BHTD[:, :, :1]], [value_BHTD[:, :, :1]]
            sees = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=key_BHTD.device)
        pieces.append(kernel(queries[number], joined(key), joined(value), sees))
    return torch.cat(pieces, 2)


def _kept(plan: BlockPlan, keep_BT: Tensor, block: int) -> Tensor:
    """The mask of a plan without padding, [B, H or 1, K or 1, W]."""
    shared = [keep_BT[:, one * block : one * block + block] for one in plan.blocks]
    parts = [torch.cat([*shared, keep_BT[:, plan.global_keys]], 1)[:, None, None]]
    if plan.block_indices is not None:
        places = selected_positions(plan.block_indices, block).clamp(
            min=0, max=keep_BT.shape[1] - 1
        )
        places = places.expand(len(keep_BT), -1, -1, -1)
        parts.append(keep_BT[:, None, None].expand(-1, places.shape[1], -1, -1).gather(3, places))
    kept = _beside(parts, 1)
    return kept if plan.mask is None else plan.mask & kept


def _beside(parts: list[Tensor], queries: int) -> Tensor:
    """Masks over different keys as one."""
    batch, heads = (max(part.shape[axis] for part in parts) for axis in (0, 1))
    return torch.cat([part.expand(batch, heads, queries, -1) for part in parts], dim=-1)


def sdpa(scaling: float, dropout: float, *, empty: bool = True) -> Kernel:
    """torch's `scaled_dot_product_attention`; a query that attends to nothing gets 0.

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
