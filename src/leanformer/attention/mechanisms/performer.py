"""Performer: random features whose products are, on average, the exponentials of the softmax.

    exp(q . k) = E_w [ exp(w . q - |q|^2 / 2) exp(w . k - |k|^2 / 2) ],      w Gaussian

FAVOR+ takes `features` vectors w, orthogonal to each other. All features are positive, so weights
are; the more of them, the nearer to the softmax, but slowly: at scores of unit variance 256
features are still a different attention, which a model has to be trained with. Queries and keys are
multiplied by the root of the layer's scaling first. |q|^2 / 2 is a factor of a whole query and
cancels.

Legend: B batch, H head, T token, D head width, M feature.
"""

from typing import get_args

import torch
from torch import Tensor

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.feature_attention import FeatureAttention, widened
from leanformer.attention.kernels.orthogonal import Lengths, orthogonal_vectors
from leanformer.attention.mechanism import Mechanism
from leanformer.core.ranges import Count, Seed
from leanformer.core.technique import technique


def log_features(x_BHTD: Tensor, vectors_MD: Tensor, *, query: bool) -> Tensor:
    """Logarithms of the positive features, [B, H, T, M], without their common factor M^-1/2."""
    turned = x_BHTD @ vectors_MD.to(x_BHTD.dtype).T
    return turned if query else turned.sub_(x_BHTD.square().sum(-1, keepdim=True) / 2)


class PerformerAttention(FeatureAttention):
    """Attention by positive orthogonal random features."""

    log = True
    vectors: Tensor

    def __init__(self, mechanism: "Performer", heads: Heads) -> None:
        super().__init__(heads, mechanism.capabilities)
        self.register_buffer("vectors", torch.empty(mechanism.features, heads.head_dim))
        self.lengths = mechanism.lengths
        self.redraw(mechanism.seed)

    def redraw(self, seed: int) -> None:
        """Draw the vectors anew, as the paper does every thousand steps or so of a training."""
        count, width = self.vectors.shape
        generator = torch.Generator().manual_seed(seed)
        self.vectors.copy_(orthogonal_vectors(count, width, generator, self.lengths))

    def features(self, x_BHTD: Tensor, scaling: float, *, query: bool) -> Tensor:
        """See `FeatureAttention.features`."""
        return log_features(widened(x_BHTD) * scaling**0.5, self.vectors, query=query)


@technique("performer", paper="Choromanski et al. 2021 (Performer), arXiv:2009.14794")
class Performer(Mechanism):
    """Estimate the softmax by random features: linear in length, near the softmax when trained."""

    capabilities = Capabilities(cross=True, swap="loses")

    features: Count = 256
    """Random features; the error falls with their root, the time grows with them."""
    seed: Seed = 0
    """Of the vectors."""
    lengths: Lengths = "gaussian"
    """"gaussian": vectors are as long as Gaussian ones, which is unbiased; "equal": all as long."""

    def __post_init__(self) -> None:
        if self.lengths not in get_args(Lengths):
            raise ValueError(f"lengths: {self.lengths!r}; it is 'gaussian' or 'equal'")

    def build(self, heads: Heads) -> PerformerAttention:
        """See `Mechanism.build`."""
        self.check(heads)
        return PerformerAttention(self, heads)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: features of queries and keys, then the state."""
        width = heads.head_dim
        flops = length * self.features * (4 * width + 4 * (width + 1))
        return Cost(flops=flops, scores=0)
