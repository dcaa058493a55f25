"""Stochastic gradient descent with momentum: steps along a running sum of the gradients.

    u <- mu u + g + d w        w <- w - r u             nesterov: w <- w - r (g + d w + mu u)

Legend: g gradient, w weight, r learning rate, d weight decay, mu momentum.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch

from leanformer.core.ranges import NotNegative, PartialShare, Positive
from leanformer.core.technique import technique
from leanformer.train.optimizers.batch_scaling import Rule
from leanformer.train.optimizers.interface import Group, Implementation, Optimizer, torch_flags


@technique("sgd", paper="Polyak 1964; Sutskever et al. 2013, PMLR 28(3):1139-1147")
class Sgd(Optimizer):
    """Gradient descent with momentum: one number of state per weight where AdamW has two."""

    batch_scaling: ClassVar[Rule] = "linear"
    learning_rate: Positive = 0.01
    """Peak learning rate; much larger than AdamW's, whose steps do not shrink with the gradient."""
    weight_decay: NotNegative = 0.0
    """Decay of matrices; biases, norms and embeddings have none."""
    momentum: PartialShare = 0.9
    """How much of the running sum stays in each step; 0 = plain gradient descent."""
    nesterov: bool = False
    """Look ahead along the running sum before the gradient is added."""
    implementation: Implementation = "fused"
    """How torch computes the step: `fused` is the fastest; `foreach` and `for-loop` compute bitwise
    the same on a CPU, and differ from `fused` by rounding."""

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: it looks ahead along the momentum, which is 0; set one")

    def build(self, groups: Sequence[Group]) -> torch.optim.Optimizer:
        """See `Optimizer.build`."""
        return torch.optim.SGD(
            self.settings(groups),
            lr=self.learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            **torch_flags(self.implementation),
        )
