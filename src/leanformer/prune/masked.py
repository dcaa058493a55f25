"""A linear layer some of whose weights are held at zero while it is trained.

    y = x (w ⊙ m)ᵀ + b          m = spread of one factor a unit: kept or not, or a learnt gate

The weight is a parameter of the same name as before, so that the one loop trains it and a
checkpoint holds it; which units are kept is a buffer, and learnt scores are a parameter. So a
training that is resumed goes on with the same mask.

Legend: O out, I in, U units of the pattern, m factor.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.prune.pattern import Pattern
from leanformer.prune.saliency import Evidence, LearntSaliency, Saliency
from leanformer.train.follower import own_rate

_BETA1, _BETA2 = 0.9, 0.999  # Adam's


class Masked(nn.Module):
    """A linear layer with a factor on each weight.

    Attributes:
        weight: [O, I].
        kept: [U] True where a unit stays.
        scores: [U] learnt beside the weight, where the saliency is learnt.
        progress: How far the schedule is, from 0 to 1.
    """

    kept: Tensor
    scores: nn.Parameter | None
    gradient: Tensor | None
    square: Tensor | None
    fisher: Tensor | None

    def __init__(self, linear: nn.Linear, pattern: Pattern, saliency: Saliency) -> None:
        """Take the place of `linear`, whose weight and bias are shared, not copied.

        Raises:
            ValueError: The pattern does not fit the weight.
        """
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.pattern, self.saliency = pattern, saliency
        self.progress = 0.0
        units_U = pattern.units(linear.weight.detach())
        self.register_buffer("kept", torch.ones_like(units_U, dtype=torch.bool))
        self.scores = None
        if isinstance(saliency, LearntSaliency):
            self.scores = nn.Parameter(torch.full_like(units_U, saliency.begin))
            own_rate(self.scores, saliency.rate)
        for name in ("gradient", "square"):
            gathers = name in saliency.gathers
            nothing = torch.zeros_like(linear.weight, requires_grad=False) if gathers else None
            self.register_buffer(name, nothing)
        self.register_buffer("fisher", self._blocks() if "fisher" in saliency.gathers else None)

    def factor(self) -> Tensor:
        """What each weight is multiplied with, [O, I]."""
        units_U = self.kept.to(self.weight.dtype)
        if self.scores is not None:
            assert isinstance(self.saliency, LearntSaliency)
            units_U = self.saliency.gate(self.scores, units_U, self.progress, self.training)
        return self.pattern.spread(units_U, (self.out_features, self.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] → [..., O]."""
        masked_OI = self.weight * self.factor()
        if self.saliency.gathers and masked_OI.requires_grad:
            masked_OI.register_hook(self._gather)
        return F.linear(x, masked_OI, self.bias)

    def unit_scores(self) -> Tensor:
        """The scores of the units as they are now, [U]."""
        if self.scores is not None:
            return self.scores.detach()
        return self.pattern.units(self.saliency.score(self.weight, self._evidence()))

    @torch.no_grad()
    def keep(self, kept_U: Tensor) -> None:
        """Keep these units from now on; where none comes back the saliency moves the weight as it
        sees fit."""
        self.kept.copy_(kept_U)
        if not self.saliency.returns:
            kept_OI = self.pattern.spread(self.kept, (self.out_features, self.in_features))
            self.weight.copy_(self.saliency.moved(self.weight, kept_OI, self._evidence()))

    @torch.no_grad()
    def plain(self) -> nn.Linear:
        """The layer without the machinery: what was removed is 0 in its weight."""
        with torch.device("meta"):  # nothing is drawn at random that is replaced at once
            linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        was, self.training = self.training, False
        linear.weight = nn.Parameter(self.weight * self.factor())
        self.training = was
        if self.bias is not None:
            linear.bias = self.bias
        return linear.train(was)

    def _evidence(self) -> Evidence | None:
        if not self.saliency.gathers:
            return None
        return Evidence(
            gradient_OI=self.gradient,
            square_OI=self.square,
            fisher_OGBB=self.fisher,
        )

    def _blocks(self) -> Tensor:
        width = self.saliency.fisher_block
        rows, columns = self.weight.shape
        if columns % width:
            raise ValueError(
                f"block: blocks of {width} weights do not divide rows of {columns} weights"
            )
        return self.weight.new_zeros(rows, columns // width, width, width, requires_grad=False)

    def _gather(self, gradient_OI: Tensor) -> None:
        gradient_OI = gradient_OI.to(self.weight.dtype)
        if self.gradient is not None:
            self.gradient.lerp_(gradient_OI, 1 - _BETA1)
        if self.square is not None:
            self.square.mul_(_BETA2).addcmul_(gradient_OI, gradient_OI, value=1 - _BETA2)
        if self.fisher is not None:
            parts = gradient_OI.unflatten(1, (-1, self.fisher.shape[-1]))
            self.fisher.mul_(_BETA2).add_(
                parts.unsqueeze(-1) * parts.unsqueeze(-2), alpha=1 - _BETA2
            )
