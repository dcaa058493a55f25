"""Where an activation's range should end, given how often each value was seen.

    percentile   [q, 1 - q] quantiles               clips the same share everywhere
    mse          argmin over [l, h] of  Σ_n c_n (x_n - FQ(x_n))²         clips where it pays
    entropy      argmin over [l, h] of  KL(p || q_lh)                    keeps the distribution

q_lh is what the distribution p of bins becomes when it is clipped to [l, h] and said in 256 codes:
all bins of one code share its mass (Migacz 2017). A narrow range says more of the middle and less
of the tails; both last methods weigh one against the other, in another currency.

Legend: N bin of the histogram, E candidate pair of ends, C code.
"""

import torch
from torch import Tensor

from leanformer.numerics.grid import affine_grid, fake_quantize, quantize

_TAIL = 1e-4  # share clipped on each side by "percentile"
_SHRINK = torch.linspace(0.2, 1.0, 17)
_FLOOR = 1e-12  # probability of an end bin that holds clipped mass only


def percentile_ends(counts_N: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends that leave out a share of 1e-4 on each side, given a histogram over [low, high]."""
    share = counts_N.cumsum(0) / counts_N.sum()
    width = (high - low) / len(counts_N)
    first = int((share > _TAIL).nonzero()[0])
    last = int((share >= 1 - _TAIL).nonzero()[0])
    return low + width * first, low + width * (last + 1)


def mse_ends(counts_N: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends of the range of least squared error, given a histogram over [low, high]."""
    x_N = _centres(counts_N, low, high)
    ends_E2 = _candidates(low, high)
    grid = affine_grid(ends_E2[:, 0], ends_E2[:, 1])
    x_EN = x_N.expand(len(ends_E2), -1)
    error_E = (counts_N * (fake_quantize(x_EN, grid) - x_EN).square()).sum(1)
    return _chosen(ends_E2, error_E)


def entropy_ends(counts_N: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends whose codes keep most of the distribution, given a histogram over [low, high]."""
    x_N = _centres(counts_N, low, high)
    ends_E2 = _candidates(low, high)
    losses = [
        divergence(counts_N, quantize(x_N, grid).long(), _inside(x_N, pair))
        for pair, grid in ((pair, affine_grid(pair[0], pair[1])) for pair in ends_E2)
    ]
    return _chosen(ends_E2, torch.stack(losses))


def divergence(counts_N: Tensor, codes_N: Tensor, inside_N: Tensor) -> Tensor:
    """KL(p || q) in nats: what is lost when bins are said in codes, and those outside clipped.

    Args:
        counts_N: How often each bin was seen.
        codes_N: The code of each bin; a clipped one has the code of its end.
        inside_N: False where a bin is clipped.

    p is the distribution inside, with the clipped mass added to the bins at the ends; q spreads the
    mass *inside* of each code evenly over the code's bins that were seen. Mass that clipping moved
    to the ends is in p and not in q: that is its price.
    """
    seen_N = inside_N & (counts_N > 0)
    mass_N = torch.where(inside_N, counts_N, torch.zeros_like(counts_N))
    places = inside_N.nonzero()[:, 0]
    first, last = int(places[0]), int(places[-1])
    p_N = mass_N.clone()
    p_N[first] += counts_N[:first].sum()
    p_N[last] += counts_N[last + 1 :].sum()
    size = int(codes_N.max()) + 1
    mass_C = torch.zeros(size, dtype=counts_N.dtype).index_add(0, codes_N, mass_N)
    bins_C = torch.zeros(size, dtype=counts_N.dtype).index_add(
        0, codes_N, seen_N.to(counts_N.dtype)
    )
    q_N = torch.where(seen_N, mass_C[codes_N] / bins_C[codes_N].clamp(min=1), mass_N)
    p_N, q_N = p_N / p_N.sum(), q_N / q_N.sum()
    asked = p_N > 0
    ratio = p_N[asked] / q_N[asked].clamp(min=_FLOOR)
    return (p_N[asked] * ratio.log()).sum()


def _inside(x_N: Tensor, ends: Tensor) -> Tensor:
    return (x_N >= ends[0]) & (x_N <= ends[1])


def _centres(counts_N: Tensor, low: float, high: float) -> Tensor:
    width = (high - low) / len(counts_N)
    return low + width * (torch.arange(len(counts_N)) + 0.5)


def _candidates(low: float, high: float) -> Tensor:
    """Ends shrunk towards zero, [E, 2]; zero always stays inside."""
    lows = low * _SHRINK if low < 0 else torch.tensor([low])
    return torch.cartesian_prod(lows, high * _SHRINK)


def _chosen(ends_E2: Tensor, loss_E: Tensor) -> tuple[float, float]:
    best = ends_E2[loss_E.argmin()]
    return float(best[0]), float(best[1])
