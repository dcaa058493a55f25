"""Improved clustered attention: groups of queries, and each query exactly at its group's best keys.

    A'_c = softmax(scaling * q'_c K^T)      best_c = the `topk` largest of A'_c, mass_c their sum

    A_t,s = mass_c * softmax over best_c (scaling * q_t . k_s)      s in best_c
            A'_c,s                                                  elsewhere

As in clustered attention the means of groups attend to all keys; what they find important is
attended to again by each member itself, and takes as much of the weight as the mean gave it. The
queries of a group are put in blocks of their own, which read its keys once.

Legend: B batch, H head, T token, S key token, C cluster, K best key, N block, Q slot, D head width.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.blocked import sdpa
from leanformer.attention.kernels.query_clusters import (
    QueryClusters,
    of_group,
    summed,
)
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count, Index, Seed
from leanformer.core.technique import technique

SIZE = 32  # slots of a block; a group leaves some of its last one empty


def slots(group_BHT: Tensor, clusters: int, size: int) -> tuple[Tensor, Tensor]:
    """A slot for each token in blocks that hold tokens of one cluster alone.

    Returns:
        slot_BHT: Each token's slot.
        owner_BHN: The cluster of each block; as many blocks as any grouping can need.
    """
    batch, heads, length = group_BHT.shape
    ones = torch.ones_like(group_BHT)[..., None]
    counts_BHC = summed(ones, group_BHT, clusters)[..., 0]
    ends_BHC = counts_BHC.cumsum(-1)
    rank = group_BHT.argsort(dim=-1, stable=True).argsort(-1)  # among all, cluster by cluster
    rank = rank - (ends_BHC - counts_BHC).gather(-1, group_BHT)
    blocks_BHC = (counts_BHC + size - 1) // size
    last_BHC = blocks_BHC.cumsum(-1)
    slot = (last_BHC - blocks_BHC).gather(-1, group_BHT) * size + rank
    number = torch.arange(length // size + min(clusters, length), device=group_BHT.device)
    number = number.expand(batch, heads, -1).contiguous()
    return slot, torch.searchsorted(last_BHC, number, right=True).clamp(max=clusters - 1)


class ImprovedClusteredAttention(Attention):
    """Attention of groups of queries with exact weights at their best keys, built."""

    data_dependent = True  # rounding a query can move it to another group

    def __init__(self, mechanism: "ImprovedClustered", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.topk = mechanism.topk
        self.clusters = QueryClusters(
            heads.head_dim,
            mechanism.clusters,
            mechanism.bits,
            mechanism.iterations,
            mechanism.seed,
        )

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
        """See `Attention.reference`: text by text, the matrix A written down."""
        mixed = torch.zeros_like(query_BHTD)
        for row, there in enumerate(keep_BS.sum(1).tolist()):
            if there:
                query, key = query_BHTD[row, :, :there], key_BHSD[row, :, :there]
                shared_HTS = (scaling * self.clusters.own_mean(query) @ key.mT).softmax(-1)
                best = shared_HTS.topk(min(self.topk, there)).indices
                is_best = torch.zeros_like(shared_HTS, dtype=torch.bool).scatter(-1, best, True)
                exact = (scaling * query @ key.mT).masked_fill(~is_best, -torch.inf).softmax(-1)
                mass = (shared_HTS * is_best).sum(-1, keepdim=True)
                weights = F.dropout(torch.where(is_best, mass * exact, shared_HTS), dropout)
                mixed[row, :, :there] = weights @ value_BHSD[row, :, :there]
        return mixed

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
        batch, _, length, _ = key_BHTD.shape
        if keep_BT is None:
            keep_BT = torch.ones(batch, length, dtype=torch.bool, device=key_BHTD.device)
        wide = torch.promote_types(key_BHTD.dtype, torch.float32)
        sees = keep_BT[:, None, None]
        group, means_BHCD = self.clusters(query_BHTD, keep_BT)
        scores = (means_BHCD @ key_BHTD.transpose(-1, -2) * scaling).to(wide)
        scores_BHCS = scores.masked_fill(~sees, torch.finfo(wide).min)
        best_BHCK = scores_BHCS.detach().topk(min(self.topk, length)).indices
        weights = scores_BHCS.softmax(-1) * sees
        mass = weights.gather(-1, best_BHCK).sum(-1, keepdim=True).to(key_BHTD.dtype)
        elsewhere = F.dropout(weights.scatter(-1, best_BHCK, 0), dropout).to(key_BHTD.dtype)
        near = self._exact(
            query_BHTD, key_BHTD, value_BHTD, keep_BT, group, best_BHCK, scaling, dropout
        )
        return of_group(mass, group) * near + of_group(elsewhere @ value_BHTD, group)

    def _exact(
        self,
        query_BHTD: Tensor,
        key_BHTD: Tensor,
        value_BHTD: Tensor,
        keep_BT: Tensor,
        group_BHT: Tensor,
        best_BHCK: Tensor,
        scaling: float,
        dropout: float,
    ) -> Tensor:
        """Each query's own attention to its group's best keys, [B, H, T, D]."""
        batch, heads, _, width = query_BHTD.shape
        slot, owner_BHN = slots(group_BHT, best_BHCK.shape[2], SIZE)
        best_BHNK = of_group(best_BHCK, owner_BHN)
        index = best_BHNK.flatten(2)[..., None].expand(-1, -1, -1, width)
        blocks = (batch, heads * owner_BHN.shape[2])
        key, value = (x.gather(2, index).view(*blocks, -1, width) for x in (key_BHTD, value_BHTD))
        empty = query_BHTD.new_zeros(batch, heads, owner_BHN.shape[2] * SIZE, width)
        place = slot[..., None].expand_as(query_BHTD)
        query = empty.scatter(2, place, query_BHTD).view(*blocks, SIZE, width)
        shown = keep_BT[:, None, None].expand(-1, heads, owner_BHN.shape[2], -1)
        sees = shown.gather(-1, best_BHNK).view(*blocks, 1, -1)
        mixed = sdpa(scaling, dropout)(query, key, value, sees)
        return mixed.view(batch, heads, -1, width).gather(2, place)


@technique("improved-clustered", paper="Vyas et al. 2020 (Clustered attention), arXiv:2007.04825")
class ImprovedClustered(Mechanism):
    """Attend once for each group of similar queries, and exactly to the keys it finds best."""

    capabilities: ClassVar[Capabilities] = Capabilities(causal="no", dropout=True)

    clusters: Count = 100
    """Groups of a text's queries; a text with fewer tokens has one a token."""
    topk: Count = 32
    """Keys of a group that its members attend to exactly."""
    bits: Count = 32
    """Random planes whose signs stand for a query; the paper's models have up to 63."""
    iterations: Index = 10
    """Times that the centroids of the groups move."""
    seed: Seed = 0
    """Of the planes."""

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        return ImprovedClusteredAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: as clustered attention, and each query's best keys."""
        scores = min(self.clusters, length) * length
        grouping = 2 * scores * self.bits * (self.iterations + 1)
        exact = min(self.topk, length) * length
        flops = grouping + 4 * (scores + exact) * heads.head_dim
        return Cost(flops=flops, scores=scores + exact)
