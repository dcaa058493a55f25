"""A linear layer with a mask on its weight: what is masked is zero while the model is trained.

    y = x (w ⊙ m)ᵀ + b        m = one factor per pattern unit, expanded to [O, I]

For a `WeightCriterion` the factors are 0 or 1; for a `LearnedMask` they are gates computed from
learned scores. Example, with the 2 x 4 weight w and the pattern `blocks` of 2 x 2, so two units:

    kept_U = [True, False]    m = 1 1 0 0    w ⊙ m = w₁₁ w₁₂ 0 0
                                  1 1 0 0            w₂₁ w₂₂ 0 0

The weight stays a parameter of the same name, so that the training loop and checkpoints treat it as
before. `kept` is a buffer and the scores are a parameter: a resumed training continues with the
same mask.

Legend: O out, I in, U units of the pattern, m mask.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanformer.numerics import over_ranks
from leanformer.prune.criteria.interface import GradientStatistics, WeightCriterion
from leanformer.prune.criteria.learned_mask import LearnedMask
from leanformer.prune.pattern import Pattern
from leanformer.train.scheduled_module import set_lr_scale

_BETA1, _BETA2 = 0.9, 0.999  # Adam's


class MaskedLinear(nn.Module):
    """A linear layer whose weight is multiplied with a mask.

    Attributes:
        weight: [O, I].
        kept: [U] True for units that are kept.
        scores: [U] learned scores; None with a `WeightCriterion`.
        progress: Progress of the schedule, from 0 to 1.
    """

    kept: Tensor
    scores: nn.Parameter | None
    gradient: Tensor | None
    square: Tensor | None
    fisher: Tensor | None

    def __init__(
        self, linear: nn.Linear, pattern: Pattern, criterion: WeightCriterion | LearnedMask
    ) -> None:
        """Replace `linear`, whose weight and bias are shared, not copied. Every unit is kept.

        Raises:
            ValueError: The pattern does not fit the weight.
        """
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.pattern, self.criterion = pattern, criterion
        self.progress = 0.0
        units_U = pattern.units(linear.weight.detach())
        self.register_buffer("kept", torch.ones_like(units_U, dtype=torch.bool))
        self.scores = None
        if isinstance(criterion, LearnedMask):
            self.scores = nn.Parameter(torch.full_like(units_U, criterion.initial_score))
            set_lr_scale(self.scores, criterion.rate)
        for name in ("gradient", "square"):
            needed = name in criterion.needs
            zeros = torch.zeros_like(linear.weight, requires_grad=False) if needed else None
            self.register_buffer(name, zeros)
        self.register_buffer("fisher", self._blocks() if "fisher" in criterion.needs else None)

    def mask(self) -> Tensor:
        """The factor of each weight, [O, I]; differentiable in learned scores."""
        units_U = self.kept.to(self.weight.dtype)
        if isinstance(self.criterion, LearnedMask):
            assert self.scores is not None
            units_U = self.criterion.gate(self.scores, units_U, self.progress, self.training)
        return self.pattern.spread(units_U, (self.out_features, self.in_features))

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] → [..., O]."""
        masked_OI = self.weight * self.mask()
        if self.criterion.needs and masked_OI.requires_grad:
            masked_OI.register_hook(self._gather)
        return F.linear(x, masked_OI, self.bias)

    def unit_scores(self) -> Tensor:
        """The current score of each unit, [U]; the lowest are removed first."""
        if isinstance(self.criterion, LearnedMask):
            assert self.scores is not None
            return self.scores.detach()
        return self.pattern.units(self.criterion.score(self.weight, self._statistics()))

    @torch.no_grad()
    def set_mask(self, kept_U: Tensor) -> None:
        """Keep the units where `kept_U` is True, and mask the others.

        Unless removed units may return, their weights become 0 and the criterion may compensate.
        """
        self.kept.copy_(kept_U)
        if isinstance(self.criterion, WeightCriterion) and not self.criterion.can_regrow:
            kept_OI = self.pattern.spread(self.kept, (self.out_features, self.in_features))
            compensated_OI = self.criterion.compensate(self.weight, kept_OI, self._statistics())
            self.weight.copy_(compensated_OI)

    @torch.no_grad()
    def as_linear(self) -> nn.Linear:
        """The `nn.Linear` with the masked weight: zeros are stored in the weight itself."""
        with torch.device("meta"):  # skips a random initialization that is replaced at once
            linear = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        was, self.training = self.training, False
        linear.weight = nn.Parameter(self.weight * self.mask())
        self.training = was
        if self.bias is not None:
            linear.bias = self.bias
        return linear.train(was)

    def _statistics(self) -> GradientStatistics | None:
        if not self.criterion.needs:
            return None
        return GradientStatistics(
            gradient_OI=self.gradient,
            square_OI=self.square,
            fisher_OGBB=self.fisher,
        )

    def _blocks(self) -> Tensor:
        assert isinstance(self.criterion, WeightCriterion)
        width = self.criterion.fisher_block
        rows, columns = self.weight.shape
        if columns % width:
            raise ValueError(
                f"block_size: blocks of {width} weights do not divide rows of {columns} weights"
            )
        return self.weight.new_zeros(rows, columns // width, width, width, requires_grad=False)

    def _gather(self, gradient_OI: Tensor) -> None:
        """Add the gradient of one backward pass to the running averages."""
        gradient_OI = over_ranks.added(gradient_OI.to(self.weight.dtype))
        if self.gradient is not None:
            self.gradient.lerp_(gradient_OI, 1 - _BETA1)
        if self.square is not None:
            self.square.mul_(_BETA2).addcmul_(gradient_OI, gradient_OI, value=1 - _BETA2)
        if self.fisher is not None:
            parts = gradient_OI.unflatten(1, (-1, self.fisher.shape[-1]))
            self.fisher.mul_(_BETA2).add_(
                parts.unsqueeze(-1) * parts.unsqueeze(-2), alpha=1 - _BETA2
            )
