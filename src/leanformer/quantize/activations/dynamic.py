"""Dynamic ranges: each batch is rounded to the range that it has itself.

    symmetric   scale = max|x| / (2^(b-1) - 1)                    TernaryBERT's released code
    affine      scale = (max x - min x) / (2^b - 1)               for skewed activations (its paper)

Per tensor, the range is over all positions of the batch, padding included: a layer does not know
which tokens are real, so an answer depends a little on what a text is batched with. Per token, each
position has its own range, and padding changes nothing.

Legend: N tokens of the batch, I in.
"""

from typing import Literal

from torch import Tensor

from leanformer.core.ranges import Bits
from leanformer.core.technique import technique
from leanformer.numerics import over_ranks
from leanformer.numerics.grid import Grid, affine_grid, symmetric_grid
from leanformer.quantize.activations.activations import Activations, Rounding, round_to

Granularity = Literal["tensor", "token"]


def range_of(
    x: Tensor, symmetric: bool = True, granularity: Granularity = "tensor", bits: int = 8
) -> Grid:
    """The grid over the range of `x`; scalar, or [N] for each token.

    Raises:
        ValueError: `bits` is not 2 to 8, or `x` is not finite.
    """
    wide = x.detach() if x.element_size() >= 4 else x.detach().float()
    # along no axis it is twenty times as fast
    rows_NI = wide.reshape(-1, x.shape[-1])
    low, high = wide.aminmax() if granularity == "tensor" else rows_NI.aminmax(dim=1)
    if granularity == "tensor":
        low, high = -over_ranks.largest(-low), over_ranks.largest(high)
    if symmetric:
        return symmetric_grid(low.neg().maximum(high), bits)
    return affine_grid(low, high, bits)


@technique("dynamic", paper="Zhang et al. 2020, arXiv:2009.12812")
class Dynamic(Activations):
    """Take the range of each batch: nothing to learn and nothing to wait for."""

    symmetric: bool = False
    """Zero in the middle of the range; otherwise the range is the smallest that holds x and 0."""
    granularity: Granularity = "tensor"
    """One range for the batch, padding included; or one for each token, which padding cannot
    change, and which only a runtime with dynamic scales can execute."""
    bits: Bits = 8
    """Bits per number."""

    def build(self, features: int) -> Rounding:
        """A module without state."""
        return _Dynamic(self)


class _Dynamic(Rounding):
    def __init__(self, settings: Dynamic) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        settings = self.settings
        return round_to(x, range_of(x, settings.symmetric, settings.granularity, settings.bits))

    def grid(self) -> Grid | None:
        return None
