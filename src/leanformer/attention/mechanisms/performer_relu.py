"""Generalised attention of the Performer: any positive feature map in place of the softmax's.

    f(x) = relu(W x) + 1e-3,        W orthogonal, or none: f(x) = relu(x) + 1e-3

It estimates no softmax. The Long Range Arena's "Performer" is this one.

Legend: M feature, D head width.
"""

import torch
from torch import Tensor

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.feature_attention import FeatureAttention, widened
from leanformer.attention.kernels.orthogonal import orthogonal_vectors
from leanformer.attention.mechanism import Mechanism
from leanformer.core.ranges import Count, Seed
from leanformer.core.technique import technique

FLOOR = 1e-3  # of the paper: a key that no feature of a query meets still counts a little


class PerformerReluAttention(FeatureAttention):
    """Attention by rectified features."""

    vectors: Tensor | None

    def __init__(self, mechanism: "PerformerRelu", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
        drawn = None
        if mechanism.features is not None:
            generator = torch.Generator().manual_seed(mechanism.seed)
            drawn = orthogonal_vectors(mechanism.features, heads.head_dim, generator)
        self.register_buffer("vectors", drawn)

    def features(self, x_BHTD: Tensor, scaling: float, *, query: bool) -> Tensor:
        """See `FeatureAttention.features`."""
        x = widened(x_BHTD) * scaling**0.5
        if self.vectors is not None:
            x = x @ self.vectors.to(x.dtype).T
        return x.relu() + FLOOR


@technique("performer-relu", paper="Choromanski et al. 2021 (Performer), arXiv:2009.14794")
class PerformerRelu(Mechanism):
    """Attend by rectified features, which are cheaper than exponentials and often train as well."""

    capabilities = Capabilities(cross=True, swap="loses")

    features: Count | None = None
    """Random features; None = the head's own dimensions, as the authors' code does."""
    seed: Seed = 0
    """Of the vectors."""

    def build(self, heads: Heads) -> PerformerReluAttention:
        """See `Mechanism.build`."""
        self.check(heads)
        return PerformerReluAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`."""
        width = heads.head_dim
        drawn = 0 if self.features is None else 4 * length * self.features * width
        count = width if self.features is None else self.features
        return Cost(flops=drawn + 4 * length * count * (width + 1), scores=0)
