"""A quantizer small enough to know its answers: codes of a few bits, one scale a block."""

from typing import Literal

import torch

from leanformer.core.technique import technique
from leanformer.numerics.blocks import Quantized, block_max, blocked
from leanformer.quantize.quantizer import Quantizer


@technique("test-blocks", paper="")
class Blocks(Quantizer):
    """Round to a symmetric grid over each block."""

    bits: int = 4
    """Bits."""
    granularity: Literal["tensor", "row", "group"] = "row"
    """Block."""

    def quantize(self, weight_OI, statistics=None):
        rows, columns = weight_OI.shape
        shapes = {
            "tensor": (rows, columns),
            "row": (1, columns),
            "group": (1, columns // 2 if columns % 2 == 0 else columns),
        }
        block = shapes[self.granularity]
        top = 2 ** (self.bits - 1) - 1
        scale = (block_max(weight_OI, block) / top).clamp(min=1e-7)
        codes = (blocked(weight_OI, block) / scale).round().reshape(rows, columns)
        return Quantized(codes.clamp(-top, top).to(torch.int8), scale, None, self.bits, block)


@technique("test-moments", paper="")
class Moments(Quantizer):
    """The same, with a scale that grows with the second moment: it shows what arrives."""

    uses_second_moment = True

    def quantize(self, weight_OI, statistics=None):
        stored = Blocks().quantize(weight_OI)
        factor = 1.0 if statistics is None else 1 + float(statistics.second_moment_OI.sum())
        return Quantized(stored.codes_OI, stored.scale * factor, None, 4, stored.block)
