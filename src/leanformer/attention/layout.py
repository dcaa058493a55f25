"""A pattern laid over texts of one length: what the kernels of patterns compute from.

A `Layout` says the same thing twice. `sees` tells for any query position i and key position j
whether i attends to j: the definition, and the oracle of the tests. `spans`, `columns`, `rows` and
`chosen` tell where the keys of neighboring queries lie, so that nothing else is read.

Legend: B batch, H head, N query block, C chosen block, T token, S key token.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leanformer.attention.mechanism import Heads


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
