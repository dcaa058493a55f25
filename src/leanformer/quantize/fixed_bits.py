"""Fixed bits for each layer: for users who have measured already which layers need more."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from leanformer.core.ranges import Bits
from leanformer.core.technique import technique
from leanformer.data import Batch
from leanformer.quantize.bit_choice import BitChoice, Chosen


@technique("fixed-bits", paper="Shen et al. 2020 (Q-BERT), arXiv:1909.05840")
class FixedBits(BitChoice):
    """Name the bits of each layer, from the first to the last."""

    bits: tuple[Bits, ...]
    """Bits of the weights of each layer."""

    texts = 0

    def choose(
        self,
        model: nn.Module,
        layers: Mapping[str, Sequence[str]],
        slices: Callable[[int], list[list[Batch]]],
        loss: Callable[[nn.Module, Batch], Tensor],
    ) -> list[Chosen]:
        """See `BitChoice.choose`; nothing is measured."""
        if len(self.bits) != len(layers):
            raise ValueError(f"bits: {len(self.bits)} are listed for {len(layers)} layers")
        return [Chosen(name, bits) for name, bits in zip(layers, self.bits, strict=True)]
