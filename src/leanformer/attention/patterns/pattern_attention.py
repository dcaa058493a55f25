"""A pattern as a module: its dense mask is the reference; blocks of queries compute it, or on a GPU
FlexAttention.

In a strided layout (`Layout.stride` = r > 1) a query attends to keys a multiple of r away, which
have the same position modulo r. So the text is read as r shorter texts, one per residue, and in
each of them the layout is an ordinary band. For r = 3 and 9 tokens these are

    residue 0: 0 3 6        residue 1: 1 4 7        residue 2: 2 5 8

and with `SlidingWindow(left=1, right=1, dilation=3)` token 4 attends to 1, 4 and 7: to its
neighbors in the text of residue 1.

A pattern may have ordinary and strided layouts. Each strided one is a part of the one softmax, and
the parts are merged (`leanformer.attention.kernels.partial`); pairs that an earlier layout covers
are left out of later ones, so that each key counts once.

Legend: B batch, H head, T token, S key token, D head dimension, R token's position modulo the
stride.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Heads
from leanformer.attention.kernels.blocked import (
    BlockPlan,
    Kernel,
    blocked_attention,
    compress_plans,
    mask_of,
    plan_blocks,
    sdpa,
)
from leanformer.attention.kernels.dense import dense_attention, visible
from leanformer.attention.kernels.flex import Tiles, flexed, tiles_of
from leanformer.attention.kernels.layout import Grid, Layout
from leanformer.attention.kernels.partial import merge_partials, partial_attention
from leanformer.attention.mechanism import Attention
from leanformer.attention.positions import text_first

Backend = Literal["auto", "blocked", "flex"]
"""Kernel used to compute patterns: "flex" is FlexAttention, "blocked" our loop over blocks of
queries; "auto" is the first on a GPU and the second elsewhere."""


Layouts = Callable[[Grid], tuple[Layout, ...]]
"""From texts to the layouts over them: a query attends to what any of them lets it attend to."""


class PatternAttention(Attention):
    """A pattern, built.

    Attributes:
        layouts: From texts to the layouts of the pattern over them.
        backend: Kernel used. FlexAttention compiles on first use, for seconds on a GPU and minutes
            on a CPU, and again for another length. It has no dropout, and no gradients on a CPU:
            "auto" then takes blocks of queries, "flex" refuses. Blocks that are selected text by
            text are always computed in blocks of queries.
    """

    backend: Backend

    def __init__(
        self,
        layouts: Layouts,
        heads: Heads,
        capabilities: Capabilities,
        *,
        position_dependent: bool = True,
    ) -> None:
        super().__init__(heads, capabilities)
        self.layouts = layouts
        self.position_dependent = position_dependent  # type: ignore[misc]  # each pattern says it
        self.backend = "auto"
        self._tiles: dict[tuple[int, torch.device], Tiles] = {}
        self._plans: dict[tuple[int, torch.device], tuple[BlockPlan, ...]] = {}

    def pattern_mask(self, at_BT: Tensor, length: int, lengths_B: Tensor | None = None) -> Tensor:
        """The pattern as a mask, True where a query attends to a key, [B or 1, H or 1, T, S];
        ignores padding."""
        grid = Grid(length=length, heads=self.heads, lengths=lengths_B, device=at_BT.device)
        keys = torch.arange(length, device=at_BT.device)[None, None, None]
        layouts = list(self.layouts(grid))
        return mask_of(layouts, at_BT[:, None, :, None], keys, self.heads.causal)

    def dense_mask(self, keep_BT: Tensor) -> Tensor:
        """See `Attention.dense_mask`."""
        length = keep_BT.shape[1]
        place_BT = torch.arange(length, device=keep_BT.device).expand_as(keep_BT)
        if self.position_dependent:  # padding moves behind the text, as in `forward`
            place_BT = text_first(keep_BT).argsort(1)
        sees = self.pattern_mask(place_BT, length, keep_BT.sum(1))
        if self.position_dependent:
            order = place_BT[:, None, None].expand(-1, *sees.shape[1:])
            sees = sees.expand(len(keep_BT), -1, -1, -1).gather(3, order)
        return sees & keep_BT[:, None, None]

    def reference(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        keep_BS: Tensor,
        at_BT: Tensor,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.reference`."""
        sees = self.pattern_mask(at_BT, keep_BS.shape[1], keep_BS.sum(1))
        sees = sees & visible(keep_BS, at_BT, self.heads.causal)
        return dense_attention(
            query_BHTD, key_BHSD, value_BHSD, sees, scaling=scaling, dropout=dropout
        )

    def efficient(
        self,
        query_BHTD: Tensor,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor | None,
        *,
        scaling: float,
        dropout: float = 0.0,
    ) -> Tensor:
        """See `Attention.efficient`."""
        qkv = (query_BHTD, key_BHTD, value_BHTD)
        length, device = query_BHTD.shape[2], query_BHTD.device
        lengths = None if keep_BT is None else keep_BT.sum(1)
        grid = Grid(length=length, heads=self.heads, lengths=lengths, device=device)
        layouts = self.layouts(grid)
        rows = sorted({row for layout in layouts for row in layout.global_queries if row < length})
        if self._flexes(query_BHTD, _by_text(layouts, keep_BT is not None), dropout):
            mixed = flexed(*qkv, keep_BT, self._tiled(length, device), scaling)
            return self._with_rows(mixed, rows, qkv, keep_BT, sdpa(scaling, dropout))
        near = tuple(layout for layout in layouts if layout.stride == 1)
        far = [layout for layout in layouts if layout.stride > 1]
        kernel = sdpa(scaling, dropout)
        if far:
            kernel = partial(partial_attention, scaling=scaling, dropout=dropout)
        parts = []
        if near:
            plans = self._plans_for(near, length, device, keep_BT is not None)
            parts.append(blocked_attention(*qkv, keep_BT, near, plans, self.heads.causal, kernel))
        for number, layout in enumerate(far):
            before = [*near, *far[:number]]
            parts.append(_strided(qkv, keep_BT, layout, before, self.heads.causal, kernel))
        mixed = merge_partials(parts, query_BHTD.dtype) if far else parts[0]
        return self._with_rows(mixed, rows, qkv, keep_BT, sdpa(scaling, dropout))

    def _flexes(self, query_BHTD: Tensor, by_text: bool, dropout: float) -> bool:
        """Whether FlexAttention computes this call.

        Raises:
            ValueError: It is asked for and cannot.
        """
        here = query_BHTD.device.type == "cpu"
        graded = here and torch.is_grad_enabled() and query_BHTD.requires_grad
        if self.backend == "flex" and (dropout or graded):
            why = "has no gradients on a CPU" if graded else "drops no weights"
            raise ValueError(
                f'backend: FlexAttention {why}; set backend = "auto", which trains by blocks'
            )
        if dropout or by_text:
            return False
        served = query_BHTD.shape[-1] >= 16 and query_BHTD.element_size() <= 4  # by its kernels
        return self.backend == "flex" or (self.backend == "auto" and not here and served)

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _tiled(self, length: int, device: torch.device) -> Tiles:
        """The pattern in tiles, kept for the next batch, often as long."""
        if (length, device) not in self._tiles:
            grid = Grid(length=length, heads=self.heads, device=device)
            tiles = tiles_of(self.layouts(grid), length, self.heads.causal, device)
            self._tiles = {(length, device): tiles}
        return self._tiles[length, device]

    def _plans_for(
        self, layouts: tuple[Layout, ...], length: int, device: torch.device, texts: bool
    ) -> Iterable[BlockPlan]:
        """The plans for texts of this length. They are kept for the next batch, often as long,
        unless `texts` differ and blocks are selected text by text."""
        if _by_text(layouts, texts):
            return plan_blocks(layouts, length, self.heads.causal, device)
        return self._kept(length, device)

    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _kept(self, length: int, device: torch.device) -> tuple[BlockPlan, ...]:
        key = (length, device)
        if key not in self._plans:
            grid = Grid(length=length, heads=self.heads, device=device)
            layouts = tuple(one for one in self.layouts(grid) if one.stride == 1)
            made = plan_blocks(layouts, length, self.heads.causal, device)
            self._plans = {key: tuple(compress_plans(made))}
        return self._plans[key]

    def _with_rows(
        self,
        mixed_BHTD: Tensor,
        rows: list[int],
        qkv: tuple[Tensor, Tensor, Tensor],
        keep_BT: Tensor | None,
        kernel: Kernel,
    ) -> Tensor:
        """The same, with the outputs of the global queries put in."""
        if not rows:
            return mixed_BHTD
        query, key, value = qkv
        at = torch.tensor(rows, device=query.device)
        sees = None
        if keep_BT is not None or self.heads.causal:
            keep = (
                torch.ones_like(key[:, 0, :, 0], dtype=torch.bool) if keep_BT is None else keep_BT
            )
            sees = visible(keep, at.expand(len(query), -1), self.heads.causal)
        return mixed_BHTD.index_copy(2, at, kernel(query[:, :, at], key, value, sees))


def _by_text(layouts: tuple[Layout, ...], texts: bool) -> bool:
    """Whether blocks are selected text by text, where texts differ."""
    return texts and any(layout.block_indices is not None for layout in layouts)


def _strided(
    qkv: tuple[Tensor, Tensor, Tensor],
    keep_BT: Tensor | None,
    layout: Layout,
    before: list[Layout],
    causal: bool,
    kernel: Kernel,
) -> Tensor:
    """The part of one strided layout, a band over the texts of residues, [B, H, T, D + 2]."""
    stride, (batch, _, length, _) = layout.stride, qkv[0].shape
    device = qkv[0].device
    short = -(-length // stride)
    here = torch.arange(short * stride, device=device) < length
    keep = here.expand(batch, -1)
    if keep_BT is not None:
        keep = keep & F.pad(keep_BT, (0, short * stride - length))
    residues = torch.arange(stride, device=device).repeat(batch)[:, None, None, None]

    def mask_mod(query: Tensor, key: Tensor) -> Tensor:
        query, key = query * stride + residues, key * stride + residues
        return layout.mask_mod(query, key) & ~mask_of(before, query, key, False)

    inner = replace(layout, mask_mod=mask_mod, stride=1)
    query, key, value = (_folded(F.pad(x, (0, 0, 0, short * stride - length)), stride) for x in qkv)
    keep_RT = keep.unflatten(1, (short, stride)).transpose(1, 2).flatten(0, 1)
    part = blocked_attention(
        query,
        key,
        value,
        keep_RT,
        (inner,),
        plan_blocks((inner,), short, causal, device),
        causal,
        kernel,
    )
    unfolded = part.unflatten(0, (batch, stride)).permute(0, 2, 3, 1, 4)
    return unfolded.flatten(2, 3)[:, :, :length]


def _folded(x_BHTD: Tensor, stride: int) -> Tensor:
    """The tokens of each residue as a text, [B * stride, H, T / stride, D]."""
    return x_BHTD.unflatten(2, (-1, stride)).permute(0, 3, 1, 2, 4).flatten(0, 1)
