"""AdamW: steps of like size for all weights, and a decay that the step size does not touch.

    m <- b1 m + (1 - b1) g               v <- b2 v + (1 - b2) g^2
    w <- w - r d w - r (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

Legend: g gradient, w weight, r learning rate, d weight decay, t step.
"""

from collections.abc import Sequence

import torch

from leanformer.core.ranges import NotNegative, PartialShare, Positive
from leanformer.core.technique import technique
from leanformer.train.optimizers.interface import Group, Implementation, Optimizer, torch_flags


@technique("adamw", paper="Loshchilov & Hutter 2019, arXiv:1711.05101")
class AdamW(Optimizer):
    """Adam with decoupled weight decay: the usual choice for transformers."""

    learning_rate: Positive = 5e-5
    """Peak learning rate."""
    weight_decay: NotNegative = 0.01
    """Decay of matrices; biases, norms and embeddings have none."""
    betas: tuple[PartialShare, PartialShare] = (0.9, 0.999)
    """How much of the averages of the gradient and of its square stays in each step."""
    eps: Positive = 1e-8
    """Added to the root of the squares, so that weights with tiny gradients stand still."""
    implementation: Implementation = "fused"
    """How torch computes the step: `fused` is the fastest; `foreach` and `for-loop` compute bitwise
    the same on a CPU, and differ from `fused` by rounding."""

    def build(self, groups: Sequence[Group]) -> torch.optim.Optimizer:
        """See `Optimizer.build`."""
        flags = torch_flags(self.implementation)
        return torch.optim.AdamW(self.settings(groups), betas=self.betas, eps=self.eps, **flags)
