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
from torch.nn import functional as F

from leanformer.attention.blocked import blocked_attention, readings, sdpa
from leanformer.attention.partial import merge, partial_attention
from leanformer.attention.pattern import Layout

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
        return cls(bucket_BHT, order, order.argsort(dim=-1))

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
        layout = Layout(
            sees=partial(_sorted_sees, one, sortings[:number], band, alone),
            spans=band.spans,
            size=SHORT if band.window <= SHORT else None,
        )
        query, key, value = (_taken(x, one.order) for x in (query_BHTD, key_BHTD, value_BHTD))
        part = blocked_attention(
            query,
            key,
            value,
            None,  # hidden tokens have a bucket of their own
            (layout,),
            readings((layout,), query.shape[2], False, query.device),
            False,
            sdpa(scaling, dropout, empty=alone) if single else kernel,
        )
        parts.append(_taken(part, one.place))
    if single:
        mixed = parts[0]
        if alone:
            mixed = torch.where(_lonely(sortings[0], band)[..., None], value_BHTD, mixed)
    else:
        mixed = merge([*parts, *_self(value_BHTD, alone)], query_BHTD.dtype)
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


def _sorted_sees(
    one: Sorting, before: list[Sorting], band: Band, alone: bool, query: Tensor, key: Tensor
) -> Tensor:
    """What sorted queries of a round see and have not seen in rounds before, [B, H, T, S]."""
    queries, keys = (places.flatten() for places in (query, key))
    bucket = one.bucket.gather(2, one.order)
    sees = bucket[:, :, queries, None] == bucket[:, :, None, keys]
    sees = sees & band.near(query, key)
    for other in before:
        bucket, place = (x.gather(2, one.order) for x in (other.bucket, other.place))
        same = bucket[:, :, queries, None] == bucket[:, :, None, keys]
        near = band.near(place[:, :, queries, None], place[:, :, None, keys])
        sees = sees & ~(same & near)
    return sees & (query != key) if alone else sees


def _lonely(one: Sorting, band: Band) -> Tensor:
    """True for tokens that see nothing but themselves, [B, H, T]: no neighbour in the sorted text
    is of their bucket and near."""
    bucket = one.bucket.gather(2, one.order)
    place = torch.arange(bucket.shape[2], device=bucket.device)
    same = bucket[:, :, 1:] == bucket[:, :, :-1]
    before = F.pad(same & band.near(place[1:], place[:-1]), (1, 0))
    after = F.pad(same & band.near(place[:-1], place[1:]), (0, 1))
    return (~(before | after)).gather(2, one.place)


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
