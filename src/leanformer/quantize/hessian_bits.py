"""Bits by curvature (Q-BERT): more for the layers where the loss bends most.

    Ω_l = |mean_S λ_l| + std_S λ_l        λ_l  top eigenvalue of the loss's Hessian in layer l
    bits_l = high for the layers of largest Ω, low for the others

A move of the weights by rounding costs about λ times its square, so a layer of small λ can be
rounded coarsely. Slices S of the data disagree about λ as much as layers do; a layer that some
slice finds steep is steep, hence the standard deviation.

Legend: l layer, S slice of the data.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from leanformer.calibrate.hessian import curvatures
from leanformer.core.ranges import Bits, Count, InnerShare
from leanformer.core.technique import technique
from leanformer.data import Batch
from leanformer.quantize.bit_choice import BitChoice, Chosen


@technique("hessian-bits", paper="Shen et al. 2020 (Q-BERT), arXiv:1909.05840")
class HessianBits(BitChoice):
    """Give the steep half of the layers more bits: for 2 and 3 bits, where evenness costs most."""

    low: Bits = 2
    """Bits of the layers that mind least."""
    high: Bits = 3
    """Bits of the others."""
    share: InnerShare = 0.5
    """Share of the layers that get `high`; at least one."""
    slices: Count = 5
    """Parts of the training texts; the paper takes ten."""
    texts: Count = 160
    """Labelled training texts in all slices together."""
    iterations: Count = 10
    """Steps of the power iteration for each layer and slice."""

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low: {self.low} bits are not fewer than high, {self.high}")
        if self.texts < self.slices:
            raise ValueError(f"slices: {self.slices} of {self.texts} texts; each needs a text")

    def choose(
        self,
        model: nn.Module,
        layers: Mapping[str, Sequence[str]],
        slices: Callable[[int], list[list[Batch]]],
        loss: Callable[[nn.Module, Batch], Tensor],
    ) -> list[Chosen]:
        """See `BitChoice.choose`; runs one backward pass per layer, slice and iteration."""
        if len(layers) < 2:
            raise ValueError(
                f"bits: {len(layers)} layer cannot have more bits than another; use one number"
            )
        found = curvatures(model, layers, slices(self.slices), loss, iterations=self.iterations)
        omegas = {name: curvature.sensitivity for name, curvature in found.items()}
        steep = sorted(omegas, key=lambda name: omegas[name], reverse=True)
        many = set(steep[: max(1, round(self.share * len(layers)))])
        return [
            Chosen(name, self.high if name in many else self.low, omegas[name]) for name in layers
        ]
