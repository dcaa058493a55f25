"""Clustered attention: queries that point the same way share one row of weights.

    c = group_t     q'_c = mean of q_t in c     o_t = softmax(scaling * q'_c K^T) V

Only the means of the groups attend, so that time is clusters times length. Groups are found by
`leanformer.attention.kernels.query_clusters`; which group a query is in is not differentiated
through, the means are.

Legend: B batch, H head, T token, S key token, C cluster, D head width.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.blocked import sdpa
from leanformer.attention.kernels.query_clusters import QueryClusters, of_group
from leanformer.attention.mechanism import Attention, Mechanism
from leanformer.core.ranges import Count, Index, Seed
from leanformer.core.technique import technique


class ClusteredAttention(Attention):
    """Attention of groups of queries, built."""

    data_dependent = True  # rounding a query can move it to another group

    def __init__(self, mechanism: "Clustered", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
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
        """See `Attention.reference`: text by text, each query replaced by its group's mean."""
        mixed = torch.zeros_like(query_BHTD)
        for row, there in enumerate(keep_BS.sum(1).tolist()):
            if there:
                means_HTD = self.clusters.own_mean(query_BHTD[row, :, :there])
                weights = (scaling * means_HTD @ key_BHSD[row, :, :there].mT).softmax(-1)
                mixed[row, :, :there] = F.dropout(weights, dropout) @ value_BHSD[row, :, :there]
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
        sees = None if keep_BT is None else keep_BT[:, None, None]
        if keep_BT is None:
            batch, _, length, _ = key_BHTD.shape
            keep_BT = torch.ones(batch, length, dtype=torch.bool, device=key_BHTD.device)
        group, means_BHCD = self.clusters(query_BHTD, keep_BT)
        return of_group(sdpa(scaling, dropout)(means_BHCD, key_BHTD, value_BHTD, sees), group)


@technique("clustered", paper="Vyas et al. 2020 (Clustered attention), arXiv:2007.04825")
class Clustered(Mechanism):
    """Attend once for each group of similar queries: linear, and coarse among a group's members."""

    capabilities: ClassVar[Capabilities] = Capabilities(causal="no", dropout=True, swap="loses")

    clusters: Count = 100
    """Groups of a text's queries; a text with fewer tokens has one a token."""
    bits: Count = 32
    """Random planes whose signs stand for a query; the paper's models have up to 63."""
    iterations: Index = 10
    """Times that the centroids of the groups move."""
    seed: Seed = 0
    """Of the planes."""

    def build(self, heads: Heads) -> Attention:
        """See `Mechanism.build`."""
        self.check(heads)
        return ClusteredAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: agreements of bits, and two products of each group with all."""
        scores = min(self.clusters, length) * length
        grouping = 2 * scores * self.bits * (self.iterations + 1)
        return Cost(flops=grouping + 4 * scores * heads.head_dim, scores=scores)
