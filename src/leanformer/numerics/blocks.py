"""Blocks of a matrix that share one scale: one layout for every granularity.

A block is `rows x columns` of a weight. The granularities that the field names are its shapes:

    the whole tensor          (O, I)      one scale
    each row (channel)        (1, I)      integer kernels multiply with it at no cost
    groups of rows            (r, I)      Q-BERT's groups of output neurons
    groups of columns         (1, g)      GPTQ's and AWQ's group_size

A blocked matrix is a view [O/r, r, I/c, c]; its scales are [O/r, 1, I/c, 1] and broadcast.

Legend: O out (rows), I in (columns), r x c the block.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Block = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Quantized:
    """A matrix in integers.

    Attributes:
        codes_OI: int8; what is stored.
        scale: Step between neighbouring codes, [O/r, 1, I/c, 1], float.
        zero_point: The code that means 0.0, shaped like `scale`, int8; None = 0 everywhere.
        bits: How many bits a code needs; 2 for ternary codes -1, 0, 1.
        block: (r, c), the rows and columns that share a scale.
    """

    codes_OI: Tensor
    scale: Tensor
    zero_point: Tensor | None
    bits: int
    block: Block

    def dequantized(self) -> Tensor:
        """The real numbers that the codes stand for, [O, I], in the type of `scale`."""
        codes = blocked(self.codes_OI, self.block).to(self.scale.dtype)
        if self.zero_point is not None:
            codes = codes - self.zero_point.to(self.scale.dtype)
        return (codes * self.scale).reshape(self.codes_OI.shape)

    @property
    def row_scaled(self) -> bool:
        """Whether each row has one scale and no zero point, as integer kernels want it."""
        return self.zero_point is None and self.block[1] == self.codes_OI.shape[1]


def blocked(weight_OI: Tensor, block: Block) -> Tensor:
    """The view [O/r, r, I/c, c].

    Raises:
        ValueError: The blocks do not tile the matrix.
    """
    (rows, columns), (r, c) = weight_OI.shape, block
    if r < 1 or c < 1 or rows % r or columns % c:
        raise ValueError(
            f"block: {r} x {c} does not tile a weight of {rows} x {columns}; choose divisors"
        )
    return weight_OI.reshape(rows // r, r, columns // c, c)


def block_max(weight_OI: Tensor, block: Block) -> Tensor:
    """The largest absolute value of each block, [O/r, 1, I/c, 1]."""
    return blocked(weight_OI.abs(), block).amax(dim=(1, 3), keepdim=True)


def block_mean(weight_OI: Tensor, block: Block) -> Tensor:
    """The mean of each block, [O/r, 1, I/c, 1]."""
    return torch.mean(blocked(weight_OI, block), dim=(1, 3), keepdim=True)
