"""Linear attention: a product of positive features in place of the softmax.

    f(x) = elu(x) + 1

The paper has no factor of scores, and with these features one would not cancel; the layer's scaling
is therefore left out.
"""

from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.features import FeatureAttention, widened
from leanformer.attention.mechanism import Capabilities, Cost, Heads, Mechanism
from leanformer.core.technique import technique


class LinearAttention(FeatureAttention):
    """Attention by elu + 1."""

    def features(self, x_BHTD: Tensor, scaling: float, *, query: bool) -> Tensor:
        """See `FeatureAttention.features`."""
        return F.elu(widened(x_BHTD)) + 1


@technique("linear", paper="Katharopoulos et al. 2020 (Linear Transformer), arXiv:2006.16236")
class Linear(Mechanism):
    """Sum the text up once: the cheapest for long texts, for models that are trained with it."""

    capabilities = Capabilities(cross=True)

    def build(self, heads: Heads) -> LinearAttention:
        """See `Mechanism.build`."""
        self.check(heads)
        return LinearAttention(heads, self.capabilities)

    def cost(self, heads: Heads, length: int) -> Cost:
        """See `Mechanism.cost`: the state is written and read once a token."""
        return Cost(flops=4 * length * heads.head_dim * (heads.head_dim + 1), scores=0)
