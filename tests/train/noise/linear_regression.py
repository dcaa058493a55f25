"""A problem whose gradient noise is known in closed form.

x ~ N(0, I_d), y = x w* + s e           loss of an example: (x w - y)^2 / 2
|G|^2 = |w - w*|^2                      S = s^2 d + (d + 1) |w - w*|^2
"""

from typing import Any

import torch
from torch import Tensor, nn

from leanformer.data import Batch
from leanformer.train import Loss, Term
from leanformer.train.batches import Batches
from leanformer.train.scheduled_module import ScheduledModule

WIDTH, SIGMA = 5, 2.0
SIGNAL = 1.0
NOISE = SIGMA**2 * WIDTH + (WIDTH + 1) * SIGNAL


class Drawn(Batches):
    """New examples in every step, in microbatches."""

    def __init__(self, examples: int, parts: int) -> None:
        self.examples, self.parts = examples, parts
        self.steps_per_epoch, self.longest, self.epoch_tokens = 1000, 1, 1000 * examples
        self.whole_tokens = 0

    def at(self, step: int) -> list[Batch]:
        """See `Batches.at`."""
        drawn = torch.Generator().manual_seed(step)
        x = torch.randn(self.examples, WIDTH, generator=drawn, dtype=torch.float64)
        y = SIGMA * torch.randn(self.examples, generator=drawn, dtype=torch.float64)
        ids = torch.arange(self.examples).chunk(self.parts)
        return [Batch({"x": x[rows]}, y[rows], tuple(rows.tolist())) for rows in ids]

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing."""


class HalfSquared(Loss):
    """(x w - y)^2 / 2, averaged over the examples."""

    def outputs(self, model: nn.Module, batch: Batch, carry: Any) -> Tensor:
        """[B]"""
        found: Tensor = model(batch.inputs["x"]).squeeze(1)
        return found

    def terms(self, outputs: Tensor, batch: Batch) -> list[Term]:
        """One term."""
        assert batch.labels is not None
        total = (outputs - batch.labels).pow(2).sum() / 2
        return [Term("squared", total, unit="example")]

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Examples."""
        return {"example": torch.tensor(len(batch.index))}


def regressor() -> nn.Module:
    """w* is 0, and w is 1 away from it."""
    model = nn.Linear(WIDTH, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(model.weight, WIDTH**-0.5)
    return model


class Penalized(ScheduledModule):
    """A regressor with a penalty on its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = regressor()

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1]"""
        found: Tensor = self.inner(x)
        return found

    def penalty(self) -> Tensor:
        """Of every step."""
        return self.inner.weight.pow(2).sum()

    def update(self, step: int, steps: int) -> None:
        """Nothing."""


def penalized() -> nn.Module:
    """The same weight, pulled towards 0."""
    return Penalized()
