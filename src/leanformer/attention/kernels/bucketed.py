"""Attention among tokens of one bucket: sorted by bucket, then by time, and read in a band.

    t sees s  iff  bucket_t = bucket_s  and  near(sorted place of t, sorted place of s)

The buckets come from the tokens themselves (`leanformer.attention.mechanisms.lsh`, `.routing`). A
bucket that depends on its own token alone, and a band that counts tokens of the bucket, keep a
causal layer blind to the future and any layer to its padding, which the chunks of the papers do
not. A band over sorted tokens costs what a sliding window costs, and is the same kernel.

Several rounds of buckets share one softmax: a key that two rounds show is counted once.

Legend: R round, B batch, H head, T token, S key token, D head width.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from leanformer.attention.kernels.blocked import BLOCK, Kernel, sdpa
from leanformer.attention.kernels.in_blocks import InBlocks, joined
from leanformer.attention.kernels.partial import merge_partials, partial_attention

SHORT = 64  # queries of a block where bands are narrow: less is read that is not seen
HIDDEN = 2**31  # the bucket of hidden tokens, behind all others


@dataclass(frozen=True)
class Band:
    """Which tokens of a bucket see each other, told by sorted places.

    Attributes:
        window: Tokens of the bucket that are seen on each side; in chunks, tokens of a chunk.
        chunks: Whether the sorted text is cut into chunks, each of which sees itself and the one
            before, as papers do; not strict: where a chunk ends depends on all tokens.
        causal: Whether later tokens are left out.
    """

    window: int
    chunks: bool
    causal: bool

    def near(self, query: Tensor, key: Tensor) -> Tensor:
        """True where a sorted place is near enough to another; the places broadcast."""
        back = query - key
        if self.chunks:
            between = query // self.window - key // self.window
            near = (between == 0) | (between == 1)
        else:
            near = back.abs() <= self.window
        return near & (back >= 0) if self.causal else near

    def spans(self, first: int, last: int) -> list[tuple[int, int]]:
        """Where the keys of some sorted queries are."""
        if self.chunks:
            first = (first // self.window - 1) * self.window
            return [(first, ((last - 1) // self.window + 1) * self.window)]
        return [(first - self.window, last if self.causal else last + self.window)]


@dataclass(frozen=True)
class Sorting:
    """One round: the tokens by bucket, then by time.

    Attributes:
        bucket: [B, H, T] of each token.
        order: [B, H, T] the token at each sorted place.
        place: [B, H, T] the sorted place of each token.
    """

    bucket: Tensor
    order: Tensor
    place: Tensor

    @classmethod
    def of(cls, bucket_BHT: Tensor, keep_BT: Tensor | None) -> "Sorting":
        """The tokens sorted; hidden ones have a bucket of their own, behind all others."""
        if keep_BT is not None:
            bucket_BHT = bucket_BHT.masked_fill(~keep_BT[:, None], HIDDEN)
        order = bucket_BHT.argsort(dim=-1, stable=True)
        there = torch.arange(order.shape[-1], device=order.device).expand_as(order)
        return cls(bucket_BHT, order, torch.empty_like(order).scatter_(-1, order, there))

    def sees(self, band: Band, at_BHT: Tensor) -> Tensor:
        """What tokens at these places see, [B, H, T, S]."""
        bucket, place = (x.gather(2, at_BHT)[..., None] for x in (self.bucket, self.place))
        same = bucket == self.bucket[:, :, None]
        return same & band.near(place, self.place[:, :, None])


def bucketed_attention(
    query_BHTD: Tensor,
    key_BHTD: Tensor,
    value_BHTD: Tensor,
    keep_BT: Tensor | None,
    buckets_RBHT: Tensor,
    band: Band,
    *,
    scaling: float,
    dropout: float = 0.0,
    alone: bool = False,
) -> Tensor:
    """What each token takes from its buckets, [B, H, T, D].

    Args:
        query_BHTD: Queries.
        key_BHTD: Keys.
        value_BHTD: Values.
        keep_BT: True at tokens of the text; None = all.
        buckets_RBHT: Of each token, round by round.
        band: Which tokens of a bucket see each other.
        scaling: Factor of the scores.
        dropout: Share of the weights that are dropped.
        alone: A token sees itself only if it sees nothing else.
    """
    sortings = [Sorting.of(bucket, keep_BT) for bucket in buckets_RBHT]
    single = len(sortings) == 1
    kernel = partial(partial_attention, scaling=scaling, dropout=dropout)
    parts = []
    for number, one in enumerate(sortings):
        query, key, value = (_taken(x, one.order) for x in (query_BHTD, key_BHTD, value_BHTD))
        dtype = query.dtype if single else None
        mask = _Mask(one, sortings[:number], band, alone, dtype)
        used = sdpa(scaling, dropout) if single else kernel
        parts.append(_taken(_banded(query, key, value, mask, used), one.place))
    mixed = parts[0]
    if not single:
        mixed = merge_partials([*parts, *_self(value_BHTD, alone)], query_BHTD.dtype)
    return mixed if keep_BT is None else mixed.masked_fill(~keep_BT[:, None, :, None], 0)


def seen_in_buckets(
    buckets_RBHS: Tensor, keep_BS: Tensor, at_BT: Tensor, band: Band, *, alone: bool = False
) -> Tensor:
    """The same as a dense mask, [B, H, T, S]."""
    at = at_BT[:, None].expand(-1, buckets_RBHS.shape[2], -1)
    rounds = [Sorting.of(bucket, keep_BS).sees(band, at) for bucket in buckets_RBHS]
    sees = torch.stack(rounds).any(0) & keep_BS[:, None, None]
    if alone:
        places = torch.arange(keep_BS.shape[1], device=keep_BS.device)
        itself = places == at[..., None]
        sees = torch.where((sees & ~itself).any(-1, keepdim=True), sees & ~itself, sees)
    return sees


def _banded(
    query_BHTD: Tensor, key_BHTD: Tensor, value_BHTD: Tensor, mask: "_Mask", kernel: Kernel
) -> Tensor:
    """Attention of a sorted text, each block of queries with the blocks that its band touches."""
    length = query_BHTD.shape[2]
    size = SHORT if mask.band.window <= SHORT else BLOCK
    texts = [InBlocks(x, size) for x in (key_BHTD, value_BHTD)]
    pieces = []
    for number, query in enumerate(query_BHTD.split(size, 2)):
        first = number * size
        ((start, stop),) = mask.band.spans(first, first + query.shape[2])
        low, high = max(start, 0) // size, -(-min(stop, length) // size)
        key, value = (joined(text.gather_blocks(range(low, high))) for text in texts)
        sees = mask(first, query.shape[2], low * size, key.shape[2])
        pieces.append(kernel(query, key, value, sees))
    return torch.cat(pieces, 2)


class _Mask:
    """Which keys the queries of one hash attend to, both in the order sorted by bucket.

    A query attends to the keys of its bucket within the band. With several hashes a pair that an
    earlier hash has covered is left out, so that each key counts once in the merged softmax; the
    mask is boolean then.

    With a single hash the mask is what is added to scores, in one pass over the pairs:

        near - far * (bucket_query - bucket_key)^2

    `near` is 0 within the band and -far outside; `far` is so large that nothing is left of a key.
    With `alone` (Reformer's shared queries and keys) the pair of a token with itself gets -far / 2:
    less than any other key of its bucket, more than the keys of other buckets, so that a token
    attends to itself only where it attends to nothing else.

    Example: the buckets of six sorted tokens are 0 0 0 2 2 5, and the band is 1 token on each side.
    Token 2 gets 0 for tokens 1 and 2, -4 far for token 3 (the difference of the buckets is 2), and
    -far or less for the others; with `alone` -far / 2 for itself, so that it attends to token 1.
    """

    def __init__(
        self,
        one: Sorting,
        before: list[Sorting],
        band: Band,
        alone: bool,
        dtype: torch.dtype | None,
    ) -> None:
        self.band, self.alone, self.dtype = band, alone, dtype
        self.bucket = one.bucket.gather(2, one.order)
        if dtype is not None:
            self.bucket = self.bucket.to(torch.promote_types(dtype, torch.float32))
        self.before = [
            (other.bucket.gather(2, one.order), other.place.gather(2, one.order))
            for other in before
        ]
        self._near: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, first: int, queries: int, start: int, keys: int) -> Tensor:
        """For queries from `first` on and keys from `start` on, [B, H, T, S]."""
        asked, read = slice(first, first + queries), slice(start, start + keys)
        near = self._nearby(first, queries, start, keys)
        mine, theirs = self.bucket[:, :, asked, None], self.bucket[:, :, None, read]
        if self.dtype is not None:
            apart = mine - theirs
            return torch.addcmul(near, apart, apart, value=-_far(self.dtype)).to(self.dtype)
        sees = (mine == theirs) & near
        for bucket, place in self.before:
            same = bucket[:, :, asked, None] == bucket[:, :, None, read]
            close = self.band.near(place[:, :, asked, None], place[:, :, None, read])
            sees = sees & ~(same & close)
        return sees

    def _nearby(self, first: int, queries: int, start: int, keys: int) -> Tensor:
        """The band itself; between the ends of a text that of one block is that of the next."""
        turn = first % self.band.window if self.band.chunks else 0
        known = (first - start, queries, keys, turn)
        if known not in self._near:
            device = self.bucket.device
            query = torch.arange(first, first + queries, device=device)[:, None]
            key = torch.arange(start, start + keys, device=device)
            near, itself = self.band.near(query, key), query == key
            if self.dtype is None:
                self._near[known] = near & ~itself if self.alone else near
            else:
                far = torch.zeros(near.shape, dtype=self.bucket.dtype, device=device)
                far = far.masked_fill(~near, -_far(self.dtype))
                last = -_far(self.dtype) / 2
                self._near[known] = far.masked_fill(itself, last) if self.alone else far
        return self._near[known]


def _far(dtype: torch.dtype) -> float:
    """Subtracted from a score, it leaves nothing beside any other."""
    return torch.finfo(dtype).max / 4


def _self(value_BHTD: Tensor, alone: bool) -> list[Tensor]:
    """The part of a token itself: so light that it counts only where there is nothing else."""
    if not alone:
        return []
    wide = value_BHTD.to(torch.promote_types(value_BHTD.dtype, torch.float32))
    one = torch.ones_like(wide[..., :1])
    return [torch.cat([wide, one, one * -1e5], dim=-1)]


def _taken(x_BHTD: Tensor, order_BHT: Tensor) -> Tensor:
    """Tokens in another order; whole rows are copied, which `gather` would not do."""
    batch, heads, length, width = x_BHTD.shape
    texts = torch.arange(batch * heads, device=x_BHTD.device).view(batch, heads, 1)
    rows = x_BHTD.reshape(-1, width).index_select(0, (texts * length + order_BHT).flatten())
    return rows.view(batch, heads, length, width)
