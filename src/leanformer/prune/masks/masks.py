"""Updates the masks of a model after each optimizer step, as the schedule says.

    s_t = schedule(t / T) · sparsity          share of the units that is masked after step t of T

Example, `sparsity = 0.5` of 100 units, `schedule = one-shot` at 0.2, T = 10 steps, `every = 1`:

    step 1       s_t = 0       100 units kept
    step 2       s_t = 0.5      50 units kept: those with the highest scores
    step 3-10    s_t = 0.5      the mask is final; only the weights still change

While s_t grows, the lowest-scoring units are masked every `every` steps, and once more when s_t
reaches `sparsity`. After every step masked weights are set to 0 again, because momentum and weight
decay move weights whose gradient is 0. Where units may return (`can_regrow`) masked weights keep
their values instead, and a unit returns when its score has grown.

Legend: U units of the pattern.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from leanformer.prune.criteria.interface import WeightCriterion
from leanformer.prune.criteria.learned_mask import LearnedMask
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.pattern import Pattern, kept_units
from leanformer.prune.schedule import Schedule
from leanformer.train.scheduled_module import ScheduledModule


class Masks(ScheduledModule):
    """Updates the masks of masked layers during training; a part of the model."""

    def __init__(
        self,
        layers: Mapping[str, MaskedLinear],
        criterion: WeightCriterion | LearnedMask,
        pattern: Pattern,
        schedule: Schedule,
        sparsity: float,
        *,
        scope: Literal["local", "global"] = "local",
        every: int = 10,
    ) -> None:
        """Masks of `layers`.

        Args:
            layers: By name; they stay submodules of the model, not of this module.
            criterion: Scores the units.
            pattern: Which weights are a unit.
            schedule: How much is masked by when.
            sparsity: Share of the units that is masked in the end, in [0, 1).
            scope: "local": every layer has this sparsity; "global": all layers together have it.
            every: Optimizer steps between two mask updates.
        """
        super().__init__()
        self.layers = dict(layers)  # a plain dict: no submodules, and so not saved twice
        self.criterion, self.pattern, self.schedule = criterion, pattern, schedule
        self.sparsity, self.scope, self.every = sparsity, scope, every

    @torch.no_grad()
    def update(self, step: int, steps: int) -> None:
        """See `ScheduledModule.update`."""
        progress = self.schedule.progress(step / steps)
        for layer in self.layers.values():
            layer.progress = progress
        if isinstance(self.criterion, LearnedMask) and self.criterion.sets_sparsity:
            return
        final = self.schedule.progress((step - 1) / steps) == 1
        if progress > 0 and not final and (step % self.every == 0 or progress == 1):
            self._prune(progress * self.sparsity)
        if not self.criterion.can_regrow:
            for layer in self.layers.values():
                layer.weight.mul_(layer.mask())

    def penalty(self) -> Tensor | None:
        """See `ScheduledModule.penalty`: the mean over the layers."""
        if not isinstance(self.criterion, LearnedMask):
            return None
        terms = [
            penalty
            for layer in self.layers.values()
            if layer.scores is not None
            and (penalty := self.criterion.penalty(layer.scores, layer.progress)) is not None
        ]
        return torch.stack(terms).mean() if terms else None

    def penalized(self) -> list[nn.Parameter]:
        """See `ScheduledModule.penalized`: the learned scores."""
        return [layer.scores for layer in self.layers.values() if layer.scores is not None]

    def _prune(self, sparsity: float) -> None:
        """Mask the units with the lowest scores; masked ones stay masked unless they may return."""
        scores = [layer.unit_scores() for layer in self.layers.values()]
        if not self.criterion.can_regrow:
            scores = [
                scores_U.masked_fill(~layer.kept, -torch.inf)
                for scores_U, layer in zip(scores, self.layers.values(), strict=True)
            ]
        kept = kept_units(self.pattern, scores, sparsity, self.scope)
        for layer, kept_U in zip(self.layers.values(), kept, strict=True):
            layer.set_mask(kept_U)
