"""LAMB: Adam's direction, in a step as long as the layer's weights call for.

    m <- b1 m + (1 - b1) g               v <- b2 v + (1 - b2) g^2
    u = (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + d w
    w <- w - r phi(||w||) / ||u|| u

This is the algorithm as it was published (ICLR 2020), with Adam's correction of the bias of its
young averages. Version 3 of the preprint and the first BERT code leave the two divisions out, and
let the warm-up stand in for them: `bias_correction = false`. Norms are of whole tensors.

Adam's part can be left to torch's fused kernel, which reads and writes each number once: it takes a
step of length -1 from weights that are 0.

Legend: g gradient, w weight, r learning rate, d weight decay, t step, phi(z) = min(z, 10).
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from leanformer.core.ranges import NotNegative, PartialShare, Positive
from leanformer.core.shown import shown
from leanformer.core.technique import technique
from leanformer.train.optimizers.interface import Group, Optimizer
from leanformer.train.optimizers.norms import gradient_piece, local_piece, whole_norms
from leanformer.train.optimizers.trust import adapts, buckets, trust_ratio

Way = Literal["fused", "for-loop"]


@technique("lamb", paper="You et al. 2020, arXiv:1904.00962")
class Lamb(Optimizer):
    """AdamW for batches of thousands of texts: every layer's step is in proportion to its size."""

    learning_rate: Positive = 1e-3
    """Peak learning rate: about the relative length of a step, for weights of a norm up to 10."""
    weight_decay: NotNegative = 0.01
    """Decay of matrices, a part of the update whose length counts; biases, norms and embeddings
    have none."""
    betas: tuple[PartialShare, PartialShare] = (0.9, 0.999)
    """How much of the averages of the gradient and of its square stays in each step."""
    eps: Positive = 1e-6
    """Added to the root of the squares, so that weights with tiny gradients stand still."""
    max_weight_norm: Positive = 10.0
    """The upper end of the paper's phi: steps of weights of a larger norm grow no further."""
    bias_correction: bool = True
    """Divide the averages by what is missing in the first steps, as the published paper does."""
    adapt_vectors: bool = False
    """Whether biases and norms have trust ratios too, in place of plain Adam steps."""
    implementation: Way = "fused"
    """How Adam's part is computed: `fused` is torch's kernel, `for-loop` the equation for one
    parameter after the other; they differ by rounding."""

    def __post_init__(self) -> None:
        if self.implementation not in get_args(Way):
            known = ", ".join(get_args(Way))
            raise ValueError(f"implementation: {shown(self.implementation)} is not one of {known}")

    def build(self, groups: Sequence[Group]) -> torch.optim.Optimizer:
        """See `Optimizer.build`."""
        return _Lamb(self.settings(groups), self)


def lamb_update(
    weight: Tensor,
    mean: Tensor,
    square: Tensor,
    *,
    step: int,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    bias_correction: bool = True,
) -> Tensor:
    """LAMB's update u, before it is brought to length.

    Args:
        weight: The weight, of any shape.
        mean: m, which has this step's gradient in it.
        square: v, likewise.
        step: t, from 1.
        betas: b1 and b2.
        eps: Added to the root.
        weight_decay: d.
        bias_correction: Whether m and v are divided by 1 - b^t.
    """
    of_mean, of_square = (1 - beta**step if bias_correction else 1.0 for beta in betas)
    size = (square / of_square).sqrt_().add_(eps)
    return (mean / of_mean).div_(size).add_(weight, alpha=weight_decay)


class _Lamb(torch.optim.Optimizer):
    def __init__(self, settings: list[dict[str, Any]], about: Lamb) -> None:
        # torch keeps the count of steps on the device of the weights where a group says it is fused
        super().__init__(settings, {"fused": about.implementation == "fused"})
        self.about = about

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step of all parameters that have gradients; the loss of the closure, if any."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for bucket in buckets(group["params"]):
                self._move(bucket, group["lr"], group["weight_decay"])
        return loss

    def _move(self, weights: list[nn.Parameter], rate: float, decay: float) -> None:
        for weight in weights:
            if not self.state[weight]:
                self._begin(weight)
        slopes = [gradient_piece(weight) for weight in weights]
        compute = self._fused if self.about.implementation == "fused" else self._looped
        updates = compute(weights, slopes, decay)
        ratios = self._ratios(weights, updates)
        for place, (weight, update) in enumerate(zip(weights, updates, strict=True)):
            piece = local_piece(weight)
            if place in ratios:
                piece.addcmul_(update, ratios[place].to(piece.dtype), value=-rate)
            else:
                piece.sub_(update, alpha=rate)

    def _begin(self, weight: nn.Parameter) -> None:
        device = weight.device if self.about.implementation == "fused" else "cpu"
        self.state[weight] |= {
            "step": torch.zeros((), device=device),
            "exp_avg": torch.zeros_like(weight),
            "exp_avg_sq": torch.zeros_like(weight),
        }

    def _looped(
        self, weights: list[nn.Parameter], slopes: list[Tensor], decay: float
    ) -> list[Tensor]:
        """The pieces of u that this process holds; m, v and t move on."""
        about, updates = self.about, []
        for weight, slope in zip(weights, slopes, strict=True):
            state = self.state[weight]
            state["step"] += 1
            mean, square = local_piece(state["exp_avg"]), local_piece(state["exp_avg_sq"])
            mean.lerp_(slope, 1 - about.betas[0])
            square.mul_(about.betas[1]).addcmul_(slope, slope, value=1 - about.betas[1])
            update = lamb_update(
                local_piece(weight),
                mean,
                square,
                step=int(state["step"]),
                betas=about.betas,
                eps=about.eps,
                weight_decay=decay,
                bias_correction=about.bias_correction,
            )
            updates.append(update)
        return updates

    def _fused(
        self, weights: list[nn.Parameter], slopes: list[Tensor], decay: float
    ) -> list[Tensor]:
        """The same by torch's kernel."""
        states = [self.state[weight] for weight in weights]
        pieces = [local_piece(weight) for weight in weights]
        updates = [torch.zeros_like(piece) for piece in pieces]
        steps = [state["step"] for state in states]
        if not self.about.bias_correction:  # after endless steps nothing is left to correct
            torch._foreach_add_(steps, 1)
            steps = [torch.full_like(step, torch.inf) for step in steps]
        adamw(
            updates,
            slopes,
            [local_piece(state["exp_avg"]) for state in states],
            [local_piece(state["exp_avg_sq"]) for state in states],
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=self.about.betas[0],
            beta2=self.about.betas[1],
            lr=-1.0,
            weight_decay=0.0,
            eps=self.about.eps,
            maximize=False,
        )
        if decay:
            torch._foreach_add_(updates, pieces, alpha=decay)
        return updates

    def _ratios(self, weights: list[nn.Parameter], updates: list[Tensor]) -> dict[int, Tensor]:
        """The trust ratio of each weight that has one, by its place."""
        places = [i for i, w in enumerate(weights) if adapts(w, vectors=self.about.adapt_vectors)]
        if not places:
            return {}
        chosen = [weights[place] for place in places]
        pieces = [local_piece(weight) for weight in chosen]
        moves = [updates[place] for place in places]
        norms = whole_norms([*pieces, *moves], like=[*chosen, *chosen])
        of_weights, of_updates = torch.stack(norms).chunk(2)
        ratios = trust_ratio(of_weights, of_updates, self.about.max_weight_norm)
        return dict(zip(places, ratios.unbind(), strict=True))
