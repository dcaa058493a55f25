"""Queries that point the same way, in groups: signs of random projections, then k-means on them.

    bits_t = sign(P q_t)        group_t = the centroid that shares most bits with t

A query's signs on random planes agree with another's as often as their angle is small. Lloyd's
algorithm runs on the signs alone: a centroid takes each bit's majority among its members, keeping
its own where they are tied. It begins at tokens that are spaced evenly over the text, so that
groups depend on nothing but the text itself.

Legend: B batch, H head, T token, C cluster, N bit, D head width.
"""

import torch
from torch import Tensor, nn


def sign_bits(query_BHTD: Tensor, planes_ND: Tensor) -> Tensor:
    """On which side of each plane a query is, 1 or -1, [B, H, T, N] in float32."""
    wide = torch.promote_types(query_BHTD.dtype, torch.float32)
    sides = query_BHTD.detach().to(wide) @ planes_ND.to(wide).T
    return torch.where(sides >= 0, 1.0, -1.0).to(torch.float32)


def lloyd(bits_BHTN: Tensor, keep_BT: Tensor, clusters: int, iterations: int) -> Tensor:
    """The cluster of each token, [B, H, T]; hidden tokens have one too, and no say in it.

    Args:
        bits_BHTN: 1 or -1.
        keep_BT: True at tokens that are there; they stand first.
        clusters: Clusters, if a text has as many tokens.
        iterations: Times that centroids move.
    """
    there_B = keep_BT.sum(1)
    used_B = there_B.clamp(max=clusters)
    number = torch.arange(min(clusters, bits_BHTN.shape[2]), device=bits_BHTN.device)
    start_BC = number * there_B[:, None] // used_B.clamp(min=1)[:, None]
    start_BC = start_BC.clamp(max=bits_BHTN.shape[2] - 1)
    index = start_BC[:, None, :, None].expand(-1, bits_BHTN.shape[1], -1, bits_BHTN.shape[3])
    centroids = bits_BHTN.gather(2, index)
    shown = bits_BHTN * keep_BT[:, None, :, None]
    for _ in range(iterations):
        group = _nearest(bits_BHTN, centroids, used_B)
        votes = summed(shown, group, len(number))
        centroids = torch.where(votes == 0, centroids, votes.sign())
    return _nearest(bits_BHTN, centroids, used_B)


def _nearest(bits_BHTN: Tensor, centroids_BHCN: Tensor, used_B: Tensor) -> Tensor:
    """The centroid that shares most bits, the first of equals, [B, H, T].

    All is whole numbers, exact in float32: agreement counts in steps of C, the number within one.
    """
    clusters = centroids_BHCN.shape[2]
    number = torch.arange(clusters, device=used_B.device)
    late = torch.where(number < used_B[:, None], number, 1e9).to(bits_BHTN.dtype)
    scaled = (clusters * centroids_BHCN).transpose(-1, -2)
    return (bits_BHTN @ scaled).sub_(late[:, None, None]).argmax(-1)


def summed(x_BHTD: Tensor, group_BHT: Tensor, clusters: int) -> Tensor:
    """The sum over each cluster's members, [B, H, C, D]."""
    batch, heads, _, width = x_BHTD.shape
    empty = x_BHTD.new_zeros(batch, heads, clusters, width)
    return empty.scatter_add(2, group_BHT[..., None].expand_as(x_BHTD), x_BHTD)


def of_group(x_BHCD: Tensor, group_BHT: Tensor) -> Tensor:
    """What each token's cluster has, [B, H, T, D]."""
    return x_BHCD.gather(2, group_BHT[..., None].expand(-1, -1, -1, x_BHCD.shape[-1]))


class QueryClusters(nn.Module):
    """Groups of queries; no gradient goes through the choice of a group.

    Args:
        width: Head width.
        clusters: Groups of a text, or one a token where it has fewer.
        bits: Random planes, shared by all heads.
        iterations: Times that centroids move.
        seed: Of the planes.
    """

    planes: Tensor

    def __init__(self, width: int, clusters: int, bits: int, iterations: int, seed: int) -> None:
        super().__init__()
        self.clusters, self.iterations = clusters, iterations
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("planes", torch.randn(bits, width, generator=generator))

    @torch.no_grad()
    def groups(self, query_BHTD: Tensor, keep_BT: Tensor) -> Tensor:
        """The cluster of each query, [B, H, T]."""
        bits = sign_bits(query_BHTD, self.planes)
        return lloyd(bits, keep_BT, self.clusters, self.iterations)

    def forward(self, query_BHTD: Tensor, keep_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The cluster of each query, [B, H, T], and the mean of each cluster's, [B, H, C, D]."""
        group = self.groups(query_BHTD, keep_BT)
        clusters = min(self.clusters, query_BHTD.shape[2])
        keep_BHTE = keep_BT[:, None, :, None]
        members = keep_BHTE.to(query_BHTD.dtype).expand(-1, group.shape[1], -1, -1)
        counts = summed(members, group, clusters).clamp(min=1)
        return group, summed(query_BHTD.masked_fill(~keep_BHTE, 0), group, clusters) / counts

    def own_mean(self, query_HTD: Tensor) -> Tensor:
        """For each query of one text the mean over its group, by comparing all pairs, [H, T, D]."""
        keep = torch.ones(1, query_HTD.shape[1], dtype=torch.bool, device=query_HTD.device)
        group_HT = self.groups(query_HTD[None], keep)[0]
        same = (group_HT[:, :, None] == group_HT[:, None]).to(query_HTD.dtype)
        return same / same.sum(-1, keepdim=True) @ query_HTD
