"""Attention among tokens with the same hash (Reformer): similar vectors meet, others never do.

    h(x) = argmax [x R ; -x R],    R in D x buckets / 2, random
    t sees s  iff  some round has h(k_t) = h(k_s), and s is among the `window` nearest of the bucket

Vectors at a small angle fall into one bucket with high probability; several hashes, each with its
own R, find what one misses. A token's bucket comes from its key, and scores are those of the layer.

In the paper queries and keys are one projection. `shared_qk` treats them as the paper does: keys
are scaled to length 1, scores by nothing else, and a token attends to itself only if it attends to
nothing else. `full_chunks` cuts the sorted text into chunks, as the paper does: all tokens of a
chunk attend to it and to the one before. No later value is read then, but which earlier ones are
depends on later tokens.

Legend: R round, B batch, H head, T token, D head width.
"""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Cost, Heads, Swap
from leanformer.attention.kernels.bucketed import Band, bucketed_attention, seen_in_buckets
from leanformer.attention.kernels.dense import dense_attention
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count, Range, Seed
from leanformer.core.technique import technique


def angular_hash(x_BHTD: Tensor, rotations_RDK: Tensor) -> Tensor:
    """The bucket of each vector in each round, [R, B, H, T], 0 to 2 K - 1."""
    turned = x_BHTD.float() @ rotations_RDK.float()[:, None, None]
    return torch.cat([turned, -turned], dim=-1).argmax(-1)


class LSHAttention(Attention):
    """Attention among tokens with the same hash."""

    position_dependent = False
    data_dependent = True
    rotations: Tensor

    def __init__(self, mechanism: "LSH", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.shared_qk = mechanism.shared_qk
        self.band = Band(mechanism.window, mechanism.full_chunks, heads.causal)
        generator = torch.Generator().manual_seed(mechanism.seed)
        shape = (mechanism.num_hashes, heads.head_dim, mechanism.buckets // 2)
        self.register_buffer("rotations", torch.randn(shape, generator=generator))

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
        buckets = angular_hash(key_BHSD, self.rotations)
        sees = seen_in_buckets(buckets, keep_BS, at_BT, self.band, alone=self.shared_qk)
        key, scaling = self._keys(key_BHSD, scaling)
        return dense_attention(query_BHTD, key, value_BHSD, sees, scaling=scaling, dropout=dropout)

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
        buckets = angular_hash(key_BHTD, self.rotations)
        key, scaling = self._keys(key_BHTD, scaling)
        return bucketed_attention(
            query_BHTD,
            key,
            value_BHTD,
            keep_BT,
            buckets,
            self.band,
            scaling=scaling,
            dropout=dropout,
            alone=self.shared_qk,
        )

    def _keys(self, key_BHSD: Tensor, scaling: float) -> tuple[Tensor, float]:
        return (F.normalize(key_BHSD, dim=-1), 1.0) if self.shared_qk else (key_BHSD, scaling)


@technique("lsh", paper="Kitaev et al. 2020 (Reformer), arXiv:2001.04451")
class LSH(Mechanism):
    """See the tokens with a similar key, found by hashing: long texts, any distance."""

    buckets: Annotated[int, Range(at_least=2)] = 64
    """Buckets of a round, an even number; about the text's length / `window` fills them."""
    num_hashes: Count = 1
    """Number of hashes; each costs as much again and finds what the others missed."""
    window: Count = 64
    """Tokens of its bucket that a token sees on each side; tokens of a chunk with `full_chunks`."""
    shared_qk: bool = False
    """Treat keys as the paper does, where queries and keys are the same projection."""
    full_chunks: bool = False
    """Cut the sorted text into chunks as the paper does, which is not strictly causal."""
    seed: Seed = 0
    """Of the random rotations."""

    def __post_init__(self) -> None:
        if self.buckets % 2:
            raise ValueError(f"buckets: {self.buckets} is not even; half mirror the others")

    @property
    def capabilities(self) -> Capabilities:  # type: ignore[override]  # depends on `full_chunks`
        """See `Mechanism.capabilities`."""
        causal: Literal["exact", "content"] = "content" if self.full_chunks else "exact"
        swap: Swap = "ruins" if self == LSH(seed=self.seed) else "unmeasured"
        return Capabilities(causal=causal, dropout=True, swap=swap)

    def build(self, heads: Heads) -> LSHAttention:
        """See `Mechanism.build`."""
        self.check(heads)
        return LSHAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: hashes and bands; the sorting is not counted."""
        band = self.window + 1 if heads.causal else 2 * self.window + 1
        scores = self.num_hashes * length * min(band, length)
        hashes = self.num_hashes * length * heads.head_dim * self.buckets
        return Cost(flops=4 * scores * heads.head_dim + hashes, scores=scores)
