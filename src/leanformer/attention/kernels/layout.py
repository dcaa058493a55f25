"""A pattern laid over texts of one length: what the kernels of patterns compute from.

A `Layout` says the same thing twice. `mask_mod` tells for any query position i and key position j
whether i attends to j: the definition, and the oracle of the tests. The other fields tell where the
keys of neighboring queries lie, so that nothing else is read.

Legend: B batch, H head, N query block, C selected block, T token, S key token.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leanformer.attention.heads import Heads


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The texts that a pattern is laid over.

    Attributes:
        length: Positions of each text, padding included.
        heads: Of the layer.
        device: Where tensors are made.
        lengths: [B] tokens of each text, which stand before its padding. None = no padding.
    """

    length: int
    heads: Heads
    device: torch.device
    lengths: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A pattern laid over texts of one length. Causality and padding are left to the kernels.

    Attributes:
        mask_mod: From query positions and key positions, which broadcast to [B, H, T, S] (B and H
            may be 1), to True where a query attends to a key.
        key_ranges: From queries [first, last) to the ranges [start, stop) of keys that any of them
            attends to, in all heads; ranges may reach beyond the text.
        global_keys: Positions of keys that every query attends to.
        global_queries: Positions of queries that attend to every key.
        block_indices: [B or 1, H or 1, N, C] for each block of `block_size` queries the indices of
            further key blocks, which differ by head or text; below 0 = none.
        block_size: Tokens of a selected block.
        stride: Queries attend to keys a multiple of this far away; `key_ranges` then counts
            positions in strides. 1 = an ordinary layout.
    """

    mask_mod: Callable[[Tensor, Tensor], Tensor]
    key_ranges: Callable[[int, int], list[tuple[int, int]]] = lambda first, last: []
    global_keys: tuple[int, ...] = ()
    global_queries: tuple[int, ...] = ()
    block_indices: Tensor | None = None
    block_size: int | None = None
    stride: int = 1
