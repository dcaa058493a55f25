"""Half precision is too coarse for the sums of a loss: they are taken in fp32, and fp64 stays."""

import torch
from torch import Tensor


def widened(values: Tensor) -> Tensor:
    """`values` in fp32, or in fp64 where they are in it already."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
