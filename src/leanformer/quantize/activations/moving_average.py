"""Q8BERT's ranges: a running mean of the largest activation, learned during training.

    m_1 = max|x_1|        m_t = d m_{t-1} + (1 - d) max|x_t|        scale = m / (2^(b-1) - 1)

The first batch starts the mean: with d = 0.9999 a thousand steps move it by a tenth only, so that
the first batch decides, unless `start_step` delays rounding until the mean has settled. Evaluation
rounds to the mean and does not move it. Padding counts: a layer does not know which tokens are
real.

Legend: d decay, b bits, t training passes.
"""

import torch
from torch import Tensor

from leanformer.core.ranges import Bits, Index, PartialShare
from leanformer.core.technique import technique
from leanformer.numerics import over_ranks
from leanformer.numerics.backward import runs_again
from leanformer.numerics.grid import Grid, symmetric_grid
from leanformer.quantize.activations.activations import Activations, Rounding, round_to


@technique("moving-average", paper="Zafrir et al. 2019, arXiv:1910.06188")
class MovingAverage(Activations):
    """Learn one symmetric range while training: static afterwards, as integer kernels want it."""

    decay: PartialShare = 0.9999
    """Share of the mean that stays in each training pass."""
    start_step: Index = 0
    """Training passes in which the range is only observed and nothing is rounded; a pass is a part
    of a batch where the loop accumulates."""
    bits: Bits = 8
    """Bits per number."""

    def build(self, features: int) -> Rounding:
        """A module with the mean and the count of training passes."""
        return _MovingAverage(self)


class _MovingAverage(Rounding):
    bound: Tensor
    passes: Tensor

    def __init__(self, settings: MovingAverage) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("bound", torch.zeros(()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._observe(x)
        if self.passes <= self.settings.start_step:  # before the first batch too
            return x
        return round_to(x, self._grid())

    def grid(self) -> Grid | None:
        return self._grid() if self.passes > 0 else None

    def _grid(self) -> Grid:
        return symmetric_grid(self.bound, self.settings.bits)

    @torch.no_grad()
    def _observe(self, x: Tensor) -> None:
        if runs_again():  # a checkpointed layer, which must round as it did
            return
        largest = over_ranks.largest(x.detach().abs().amax().float())
        if not torch.isfinite(largest):
            raise ValueError(
                f"activations: the largest of a batch is {float(largest)}; lower learning_rate, or "
                "look for NaN in the weights"
            )
        mean = self.bound.lerp(largest, 1 - self.settings.decay)
        self.bound.copy_(largest if self.passes == 0 else mean)
        self.passes += 1
