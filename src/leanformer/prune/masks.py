"""The masks of a model, kept true while it is trained.

After each optimizer step the schedule says how much is to be gone. Every few steps, until that is
all, the units of the lowest scores are chosen anew; what was removed is put back to zero, since
momentum and weight decay move weights whose gradient is zero too. Where units may come back the
weights are left alone: one that was removed keeps its value, and its score may bring it back.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from leanformer.prune.masked import Masked
from leanformer.prune.pattern import Pattern, kept_units
from leanformer.prune.saliency import LearntSaliency, Saliency
from leanformer.prune.schedule import Schedule
from leanformer.train.follower import Follower


class Masks(Follower):
    """Follows a training and closes the masks of its layers."""

    def __init__(
        self,
        layers: Mapping[str, Masked],
        saliency: Saliency,
        pattern: Pattern,
        schedule: Schedule,
        keep: float,
        *,
        scope: Literal["local", "global"] = "local",
        every: int = 10,
    ) -> None:
        """Masks of `layers`.

        Args:
            layers: By name; they stay parts of the model, not of this module.
            saliency: What scores units.
            pattern: What a unit is.
            schedule: How much is removed when.
            keep: Share that stays in the end.
            scope: Whether each layer keeps this share, or all together.
            every: Optimizer steps between two choices.
        """
        super().__init__()
        self.layers = dict(layers)  # a plain dict: no submodules, and so not saved twice
        self.saliency, self.pattern, self.schedule = saliency, pattern, schedule
        self.keep, self.scope, self.every = keep, scope, every

    @torch.no_grad()
    def follow(self, step: int, steps: int) -> None:
        """See `Follower.follow`."""
        progress = self.schedule.progress(step / steps)
        for layer in self.layers.values():
            layer.progress = progress
        if isinstance(self.saliency, LearntSaliency) and self.saliency.sets_share:
            return
        settled = self.schedule.progress((step - 1) / steps) == 1
        if progress > 0 and not settled and (step % self.every == 0 or progress == 1):
            self._choose(1 - progress * (1 - self.keep))
        if not self.saliency.returns:
            for layer in self.layers.values():
                layer.weight.mul_(layer.factor())

    def penalty(self) -> Tensor | None:
        """See `Follower.penalty`: the mean over the layers."""
        if not isinstance(self.saliency, LearntSaliency):
            return None
        asked = [
            penalty
            for layer in self.layers.values()
            if layer.scores is not None
            and (penalty := self.saliency.penalty(layer.scores, layer.progress)) is not None
        ]
        return torch.stack(asked).mean() if asked else None

    def _choose(self, keep: float) -> None:
        """Choose the units that stay."""
        scores = [layer.unit_scores() for layer in self.layers.values()]
        if not self.saliency.returns:
            scores = [
                one.masked_fill(~layer.kept, -torch.inf)
                for one, layer in zip(scores, self.layers.values(), strict=True)
            ]
        chosen = kept_units(self.pattern, scores, keep, self.scope)
        for layer, kept_U in zip(self.layers.values(), chosen, strict=True):
            layer.keep(kept_U)
