"""A picture of a mechanism: how much each stretch of a text takes from each other one.

Every mechanism mixes values, and the values of an identity matrix are the weights themselves: what
a query takes from each key, whatever it was found by. Each cell of the picture is the largest
weight between two stretches of tokens, over all heads, in shares of the row's largest.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from leanformer.attention.bench.workload import Workload, inputs
from leanformer.attention.mechanism import Mechanism

CELLS = 64


def weights(mechanism: Mechanism, length: int = 1024, *, causal: bool = False) -> Tensor:
    """What each token takes from each, [H, T, S]; 4 heads of a random text.

    The queries and keys of a text drift, as those of neighbouring words are alike: otherwise
    mechanisms that choose by content would show noise.

    Raises:
        ValueError: The mechanism cannot be causal, and `causal` asks for it.
    """
    work = Workload(length=length, causal=causal, num_heads=4)
    attention = mechanism.build(work.heads).eval()
    query, key, _ = inputs(work)
    drift = key.cumsum(2) / torch.arange(1, length + 1)[:, None].sqrt()
    keep = torch.ones(1, length, dtype=torch.bool)
    at = torch.arange(length)[None]
    columns = torch.eye(length).split(work.head_dim, dim=1)  # values are as wide as a head
    with torch.no_grad():
        parts = [
            attention.reference(
                drift + 0.1 * query,
                drift,
                F.pad(column, (0, work.head_dim - column.shape[1])).expand(1, 4, -1, -1),
                keep,
                at,
                scaling=0.2,
            )
            for column in columns
        ]
    return torch.cat(parts, dim=-1)[0, :, :, :length]


def picture(mechanism: Mechanism, length: int = 1024, *, causal: bool = False) -> list[list[float]]:
    """The weights as a picture of 64 x 64 shares, first tokens first."""
    seen = weights(mechanism, length, causal=causal).abs().amax(0)
    cells = F.adaptive_max_pool2d(seen[None], min(CELLS, length))[0]
    shares = cells / cells.amax(-1, keepdim=True).clamp(min=1e-12)
    return [[round(float(share), 2) for share in row] for row in shares]
