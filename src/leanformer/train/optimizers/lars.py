"""LARS: momentum whose rate is set per layer, by how long its weights are beside its gradient.

    l = eta ||w|| / (||g|| + d ||w||)       1 where ||w|| or ||g|| is 0
    u <- mu u + r l (g + d w)               w <- w - u

The learning rate is inside the running sum, as in the paper, so that a step that was taken at a
high rate goes on at that rate. Biases and norms are not adapted: they move at the rate r itself,
as in the published runs. Norms are of whole tensors.

Legend: g gradient, w weight, r learning rate, d weight decay, mu momentum, eta the trust
coefficient.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.core.ranges import NotNegative, PartialShare, Positive
from leanformer.core.technique import technique
from leanformer.train.optimizers.interface import Group, Optimizer
from leanformer.train.optimizers.norms import gradient_piece, local_piece, whole_norms
from leanformer.train.optimizers.trust import adapts


@technique("lars", paper="You et al. 2017, arXiv:1708.03888")
class Lars(Optimizer):
    """SGD with momentum for large batches: every layer's step is in proportion to its size."""

    learning_rate: Positive = 1.0
    """Peak learning rate; times `trust_coefficient`, it is the relative length of a step."""
    weight_decay: NotNegative = 0.0
    """Decay of matrices; biases, norms and embeddings have none."""
    momentum: PartialShare = 0.9
    """How much of the running sum stays in each step; 0 = none."""
    trust_coefficient: Positive = 1e-3
    """How far a layer trusts its own gradient: the paper's eta."""
    adapt_vectors: bool = False
    """Whether biases and norms have rates of their own too."""

    def build(self, groups: Sequence[Group]) -> torch.optim.Optimizer:
        """See `Optimizer.build`."""
        return _Lars(self.settings(groups), self)


def local_rate(
    weight_norm: Tensor, gradient_norm: Tensor, *, trust_coefficient: float, weight_decay: float
) -> Tensor:
    """LARS's factor l on the learning rate, elementwise; 1 where either norm is 0.

    Args:
        weight_norm: Norms of whole weights, of any shape.
        gradient_norm: Norms of their gradients.
        trust_coefficient: eta.
        weight_decay: d.
    """
    known = (weight_norm > 0) & (gradient_norm > 0)
    whole = torch.where(known, gradient_norm + weight_decay * weight_norm, 1.0)
    return torch.where(known, trust_coefficient * weight_norm / whole, 1.0)


class _Lars(torch.optim.Optimizer):
    def __init__(self, settings: list[dict[str, Any]], about: Lars) -> None:
        super().__init__(settings, {})
        self.about = about

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step of all parameters that have gradients; the loss of the closure, if any."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            slopes = [gradient_piece(weight) for weight in weights]
            rates = self._rates(weights, slopes, group["weight_decay"])
            for place, (weight, slope) in enumerate(zip(weights, slopes, strict=True)):
                rate = group["lr"] * rates.get(place, 1.0)
                self._move(weight, slope, rate, group["weight_decay"])
        return loss

    def _move(
        self, weight: nn.Parameter, slope: Tensor, rate: float | Tensor, decay: float
    ) -> None:
        state, piece = self.state[weight], local_piece(weight)
        # a product of its own: the gradient stays as it was
        change = slope.add(piece, alpha=decay).mul_(rate)
        if self.about.momentum:
            if not state:
                state["momentum_buffer"] = torch.zeros_like(weight)
            change = local_piece(state["momentum_buffer"]).mul_(self.about.momentum).add_(change)
        piece.sub_(change)

    def _rates(
        self, weights: list[nn.Parameter], slopes: list[Tensor], decay: float
    ) -> dict[int, Tensor]:
        """The factor on the learning rate of each weight that has one, by its place."""
        places = [i for i, w in enumerate(weights) if adapts(w, vectors=self.about.adapt_vectors)]
        if not places:
            return {}
        chosen = [weights[place] for place in places]
        pieces = [*map(local_piece, chosen), *(slopes[place] for place in places)]
        norms = whole_norms(pieces, like=[*chosen, *chosen])
        of_weights, of_slopes = torch.stack(norms).chunk(2)
        trust = self.about.trust_coefficient
        found = local_rate(of_weights, of_slopes, trust_coefficient=trust, weight_decay=decay)
        return dict(zip(places, found.unbind(), strict=True))
