"""Linear attention: a product of positive features in place of the softmax.

    f(x) = elu(x) + 1

The paper has no factor of scores, and with these features one would not cancel; the layer's scaling
is therefore left out. The derivative is read off the feature itself, f' = min(f, 1): the input need
not be kept, nor its exponential be taken again.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.heads import Capabilities, Cost, Heads
from leanformer.attention.kernels.feature_attention import FeatureAttention, widened
from leanformer.attention.mechanism import Mechanism
from leanformer.core.technique import technique


class EluPlusOne(torch.autograd.Function):
    """elu(x) + 1."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """The features."""
        return F.elu(x).add_(1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep the features, which are needed for the products anyway."""
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """The gradient."""
        (features,) = ctx.saved_tensors
        return grad * features.clamp(max=1)


class LinearAttention(FeatureAttention):
    """Attention by elu + 1."""

    def features(self, x_BHTD: Tensor, scaling: float, *, query: bool) -> Tensor:
        """See `FeatureAttention.features`."""
        features: Tensor = EluPlusOne.apply(widened(x_BHTD))
        return features


@technique("linear", paper="Katharopoulos et al. 2020 (Linear Transformer), arXiv:2006.16236")
class Linear(Mechanism):
    """Sum the text up once: the cheapest for long texts, for models that are trained with it."""

    capabilities = Capabilities(cross=True, swap="loses")

    def build(self, heads: Heads) -> LinearAttention:
        """See `Mechanism.build`."""
        self.check(heads)
        return LinearAttention(heads, self.capabilities)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: the state is written and read once a token."""
        return Cost(flops=4 * length * heads.head_dim * (heads.head_dim + 1), scores=0)
