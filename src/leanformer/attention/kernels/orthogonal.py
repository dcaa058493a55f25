"""Random directions that are orthogonal to each other, block by block.

As many vectors as the space has dimensions are drawn orthogonal at a time; each has the direction
of a Gaussian vector, and with lengths drawn anew also its length. Estimates from them vary less
than from independent vectors (Choromanski et al. 2021, arXiv:2009.14794).

Legend: M vector, D dimension.
"""

from typing import Literal

import torch
from torch import Tensor

Lengths = Literal["gaussian", "equal"]


def orthogonal_vectors(
    count: int, width: int, generator: torch.Generator, lengths: Lengths = "gaussian"
) -> Tensor:
    """Gaussian vectors that are orthogonal within each block of `width`, [M, D], float32.

    Args:
        count: Vectors.
        width: Dimensions.
        generator: Of the numbers.
        lengths: "gaussian": as of Gaussian vectors; "equal": all the root of `width`.
    """
    blocks = []
    for _ in range(-(-count // width)):
        drawn = torch.randn(width, width, generator=generator, dtype=torch.float64)
        turned, upper = torch.linalg.qr(drawn)
        blocks.append((turned * upper.diagonal().sign()).T)  # the sign makes rotations uniform
    if lengths == "equal":
        return (torch.cat(blocks)[:count] * width**0.5).float()
    drawn = torch.randn(count, width, generator=generator, dtype=torch.float64)
    return (torch.cat(blocks)[:count] * drawn.norm(dim=-1, keepdim=True)).float()
