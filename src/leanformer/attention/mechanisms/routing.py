"""Attention within clusters (Routing Transformer): tokens near the same centroid see each other.

    cluster of x = argmax_c  <mu_c, norm(x)>          norm: mean 0, length 1
    t sees s  iff  k_t and k_s are nearest to the same centroid, s among the `window` nearest

Centroids are not parameters: while a model trains they follow the tokens that are nearest to them
(`leanformer.attention.kernels.moving_centroids` says when).

`balanced` is the paper's form: each centroid takes the `window` queries and the `window` keys that
are most like it. Clusters are equally large then, but a token may be in several (its outputs are
averaged) or in none (its output is 0), and which ones depends on later tokens.

Legend: B batch, H head, C centroid, W member, T token, S key token, D head width.
"""

from typing import Literal

import torch
from torch import Tensor

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.bucketed import Band, bucketed_attention, seen_in_buckets
from leanformer.attention.kernels.dense import dense_attention
from leanformer.attention.kernels.moving_centroids import MovingCentroids, likeness, nearest
from leanformer.attention.mechanism import Mechanism
from leanformer.core.ranges import Count, PartialShare, Seed
from leanformer.core.technique import technique


def members(like_BHTC: Tensor, keep_BT: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The tokens that are most like each centroid, in the order of the text.

    Returns:
        Places [B, H, C, W], and True where there is a token, with W at most the text's length.
    """
    like = like_BHTC.masked_fill(~keep_BT[:, None, :, None], -torch.inf).transpose(2, 3)
    best = like.topk(min(window, like.shape[-1]), dim=-1).indices.sort(-1).values
    batch, heads, centroids, _ = best.shape
    there = keep_BT[:, None, None].expand(batch, heads, centroids, -1).gather(3, best)
    return best, there


class RoutingAttention(MovingCentroids):
    """Attention within clusters."""

    position_dependent = False
    data_dependent = True

    def __init__(self, mechanism: "Routing", heads: Heads) -> None:
        super().__init__(
            heads,
            mechanism.capabilities,
            clusters=mechanism.clusters,
            decay=mechanism.decay,
            seed=mechanism.seed,
        )
        self.mechanism = mechanism
        self.band = Band(mechanism.window, False, heads.causal)

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
        self.settle()
        if not self.mechanism.balanced:
            buckets = nearest(key_BHSD, self.centroids)[None]
            sees = seen_in_buckets(buckets, keep_BS, at_BT, self.band)
            return dense_attention(
                query_BHTD, key_BHSD, value_BHSD, sees, scaling=scaling, dropout=dropout
            )
        return self._each_cluster(query_BHTD, key_BHSD, value_BHSD, keep_BS, at_BT, scaling)

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
        """See `Attention.efficient`; in training the centroids follow the tokens."""
        self.settle()
        qkv = (query_BHTD, key_BHTD, value_BHTD)
        if self.mechanism.balanced:
            mixed = self._clusters(qkv, keep_BT, scaling, dropout)
        else:
            buckets = nearest(key_BHTD, self.centroids)[None]
            mixed = bucketed_attention(
                *qkv, keep_BT, buckets, self.band, scaling=scaling, dropout=dropout
            )
        if self.training:
            self.note(mixed, query_BHTD, key_BHTD, keep_BT)
        return mixed

    def _clusters(
        self,
        qkv: tuple[Tensor, Tensor, Tensor],
        keep_BT: Tensor | None,
        scaling: float,
        dropout: float,
    ) -> Tensor:
        """The paper's clusters, all at once."""
        query, key, value = qkv
        if keep_BT is None:
            keep_BT = torch.ones_like(query[:, 0, :, 0], dtype=torch.bool)
        window = self.mechanism.window
        asked, asks = members(likeness(query, self.centroids), keep_BT, window)
        read, there = members(likeness(key, self.centroids), keep_BT, window)
        sees = there[..., None, :] & asks[..., None]
        if self.heads.causal:
            sees = sees & (read[..., None, :] <= asked[..., None])
        query_BHCWD, key_BHCWD, value_BHCWD = (
            _members_of(x, at) for x, at in ((query, asked), (key, read), (value, read))
        )
        mixed = dense_attention(
            query_BHCWD, key_BHCWD, value_BHCWD, sees, scaling=scaling, dropout=dropout
        ).flatten(2, 3)
        at = asked.flatten(2)[..., None]
        total = torch.zeros_like(query).scatter_add(2, at.expand_as(mixed), mixed)
        counted = asks.flatten(2)[..., None].to(query.dtype)
        times = query.new_zeros(*query.shape[:3], 1).scatter_add(2, at, counted)
        return total / times.clamp(min=1)

    def _each_cluster(
        self,
        query_BHTD: Tensor,
        key_BHSD: Tensor,
        value_BHSD: Tensor,
        keep_BS: Tensor,
        at_BT: Tensor,
        scaling: float,
    ) -> Tensor:
        """The paper's clusters, one by one, as masks over whole texts."""
        total, times = torch.zeros_like(query_BHTD), torch.zeros_like(query_BHTD[..., :1])
        asked = self._chosen(query_BHTD, keep_BS.gather(1, at_BT))
        read = self._chosen(key_BHSD, keep_BS)
        earlier = at_BT[:, None, :, None] >= torch.arange(keep_BS.shape[1], device=keep_BS.device)
        for cluster in range(self.mechanism.clusters):
            sees = asked[..., cluster, None] & read[..., cluster][:, :, None]
            sees = sees & earlier if self.heads.causal else sees
            total = total + dense_attention(query_BHTD, key_BHSD, value_BHSD, sees, scaling=scaling)
            times = times + asked[..., cluster, None]
        return total / times.clamp(min=1)

    def _chosen(self, x_BHSD: Tensor, keep_BS: Tensor) -> Tensor:
        """True where a centroid takes a token, [B, H, S, C]."""
        like = likeness(x_BHSD, self.centroids).masked_fill(~keep_BS[:, None, :, None], -torch.inf)
        rank = like.argsort(dim=2, descending=True, stable=True).argsort(dim=2)
        return (rank < self.mechanism.window) & keep_BS[:, None, :, None]


def _members_of(x_BHTD: Tensor, at_BHCW: Tensor) -> Tensor:
    """The tokens at these places, [B, H, C, W, D]."""
    flat = at_BHCW.flatten(2)[..., None].expand(-1, -1, -1, x_BHTD.shape[-1])
    return x_BHTD.gather(2, flat).unflatten(2, at_BHCW.shape[2:])


@technique("routing", paper="Roy et al. 2021 (Routing Transformer), arXiv:2003.05997")
class Routing(Mechanism):
    """Attend within the token's cluster; centroids are learned during training."""

    clusters: Count = 64
    """Centroids of each head; about the square root of the length."""
    window: Count = 64
    """Tokens of its cluster that a token sees on each side; with `balanced`, tokens a centroid
    takes."""
    balanced: bool = False
    """Let each centroid choose its tokens as the paper does, which is not strictly causal."""
    decay: PartialShare = 0.999
    """How much of a centroid stays where it was, per forward pass of a training."""
    seed: Seed = 0
    """Of the first centroids."""

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # depends on `balanced`
        """See `Mechanism.capabilities`."""
        causal: Literal["exact", "content"] = "content" if self.balanced else "exact"
        return Capabilities(causal=causal, dropout=True, learned=True, swap="loses")

    def build(self, heads: Heads) -> RoutingAttention:
        """See `Mechanism.build`."""
        self.check(heads)
        return RoutingAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: distances from centroids, and bands or clusters."""
        band = self.window + 1 if heads.causal else 2 * self.window + 1
        scores = length * min(band, length)
        if self.balanced:
            scores = self.clusters * min(self.window, length) ** 2
        distances = 2 * length * heads.head_dim * self.clusters
        return Cost(flops=4 * scores * heads.head_dim + distances, scores=scores)
