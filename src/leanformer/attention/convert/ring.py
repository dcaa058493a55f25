"""Chunks in a ring: a chunk of tokens sees itself and so many before and after it.

    window of chunk n    n - before, ..., n, ..., n + after    counted round a ring of N chunks

That is Reformer's layout: the first chunk looks back to the last one, unless a mask forbids it, and
on a ring shorter than its window a chunk that is met twice counts twice in the softmax. (A turn by
more than N chunks is none: transformers turns by slicing.)

Many chunks are one batch of one kernel, which never writes scores down where it need not. What is
written are the keys of the windows and what is added to the scores, for an eighth of a long text at
a time, so that there are few calls and no gradient is put together from many pieces.

Legend: B batch, N chunk, G chunk of a group, P chunk of a window, K token of a chunk, W token of a
window, T token, H head, D head width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from leanformer.attention.kernels.blocked import Kernel

GROUPS = 8  # at most: the gradient of each is as long as the text
TOKENS = 1024  # of a group, where that makes fewer


@dataclass(frozen=True)
class Ring:
    """Chunks in a ring.

    Attributes:
        count: Chunks.
        size: Tokens of a chunk.
        before: Chunks before its own that a chunk sees.
        after: Chunks after it.
    """

    count: int
    size: int
    before: int = 0
    after: int = 0

    def windows(self, device: torch.device) -> Tensor:
        """The chunks that each chunk sees, [N, P]."""
        turns = [
            turn if abs(turn) <= self.count else 0 for turn in range(-self.before, self.after + 1)
        ]
        own = torch.arange(self.count, device=device)[:, None]
        return (own + torch.tensor(turns, device=device)) % self.count

    @property
    def group(self) -> int:
        """The chunks that are attended to in one call, at most."""
        return max(-(-self.count // GROUPS), TOKENS // self.size, 1)


@dataclass(frozen=True)
class Mask:
    """What is added to the scores within windows.

    Attributes:
        places_BNKH: Of each token in its text; B, H may be 1.
        keep_BNKH: True at tokens of the text; None = all; H may be 1.
        causal: Whether later tokens are left out.
        hidden: What is added where a key is not seen.
        itself: What is added where a token meets itself, seen or not; None = nothing of its own.
    """

    places_BNKH: Tensor
    keep_BNKH: Tensor | None
    causal: bool
    hidden: float
    itself: float | None = None

    def __call__(self, group_G: Tensor, window_GP: Tensor, dtype: torch.dtype) -> Tensor | None:
        """For these chunks and their windows, [B or 1, G, H or 1, K or 1, W]; None = nothing."""
        added = None
        if self.keep_BNKH is not None:
            sees = within(self.keep_BNKH, window_GP).transpose(2, 3)[..., None, :]
            added = torch.zeros(sees.shape, dtype=dtype, device=sees.device)
            added.masked_fill_(~sees, self.hidden)
        if not self.causal and self.itself is None:
            return added
        asked = self.places_BNKH[:, group_G].transpose(2, 3)[..., None]
        read = within(self.places_BNKH, window_GP).transpose(2, 3)[..., None, :]
        if added is None:
            added = torch.zeros((), dtype=dtype, device=read.device)
        if self.causal:
            added = added.masked_fill(asked < read, self.hidden)
        if self.itself is not None:
            added = added.masked_fill(asked == read, self.itself)
        return added


def within(x: Tensor, window_GP: Tensor) -> Tensor:
    """The chunks [B, N, K, ...] of windows, one behind the other, [B, G, W, ...]."""
    return x.index_select(1, window_GP.flatten()).unflatten(1, window_GP.shape).flatten(2, 3)


def ring_attention(
    query_BTHD: Tensor, key_BTHD: Tensor, value_BTHD: Tensor, ring: Ring, mask: Mask, kernel: Kernel
) -> Tensor:
    """What each token takes from the window of its chunk, [B, T, H, any].

    Args:
        query_BTHD: Queries, as many as the ring has tokens.
        key_BTHD: Keys.
        value_BTHD: Values.
        ring: How they are cut, and who sees whom.
        mask: What is added to scores.
        kernel: Attention of a chunk; what is added comes to it as [B or 1, H or 1, K or 1, W].
    """
    chunks = (ring.count, ring.size)
    query, key, value = (x.unflatten(1, chunks) for x in (query_BTHD, key_BTHD, value_BTHD))
    batch, places = len(query), torch.arange(ring.count, device=query.device)
    groups = (x.split(ring.group) for x in (places, ring.windows(query.device)))
    pieces = []
    for asked, group_G, window_GP in zip(query.split(ring.group, 1), *groups, strict=True):
        added = mask(group_G, window_GP, query.dtype)
        if added is not None:
            added = added.expand(batch, *added.shape[1:]).flatten(0, 1)
        keys, values = (within(x, window_GP).transpose(2, 3).flatten(0, 1) for x in (key, value))
        piece = kernel(asked.transpose(2, 3).flatten(0, 1), keys, values, added)
        pieces.append(piece.unflatten(0, (batch, -1)).transpose(2, 3))
    return torch.cat(pieces, 1).flatten(1, 2)
