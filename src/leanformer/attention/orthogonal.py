"""Random directions that are orthogonal to each other, block by block.

As many vectors as the space has dimensions are drawn orthogonal at a time; each has the direction
of a Gaussian vector, and with lengths drawn anew also its length. Estimates from them vary less
than from independent vectors (Choromanski et al. 2021, arXiv:2009.14794).

Legend: M vector, D dimension.
"""

import torch
from torch import Tensor


def orthogonal_vectors(count: int, width: int, generator: torch.Generator) -> Tensor:
    """Gaussian vectors that are orthogonal within each block of `width`, [M, D], float32.

    Args:
        count: Vectors.
        width: Dimensions.
        generator: Of the numbers.
    """
    blocks = []
    for _ in range(-(-count // width)):
        drawn = torch.randn(width, width, generator=generator, dtype=torch.float64)
        turned, upper = torch.linalg.qr(drawn)
        blocks.append((turned * upper.diagonal().sign()).T)  # the sign makes rotations uniform
    lengths = torch.randn(count, width, generator=generator, dtype=torch.float64).norm(dim=-1)
    return (torch.cat(blocks)[:count] * lengths[:, None]).float()
