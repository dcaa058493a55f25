"""Where to clip an activation's range, given a histogram of its values.

    percentile   [q, 1 - q] quantiles               clips the same share everywhere
    mse          argmin over [l, h] of  Σ_n c_n (x_n - FQ(x_n))²         clips where it pays
    entropy      argmin over [l, h] of  KL(p || q_lh)                    keeps the distribution

q_lh is what the distribution p of bins becomes when it is clipped to [l, h] and written in 256
codes: all bins of one code share its mass (Migacz 2017). A narrow range has finer steps in the
middle and cuts more off the tails. `mse` weighs the two by squared error, `entropy` by information.
`min-max` and `moving-average` clip nothing and need no histogram (`leanformer.calibrate.ranges`).

Example: 99 values in [-1, 1] and one of 20. Min-max has a step of 21 / 255 = 0.08 for all of them;
clipped to [-1, 1] the step is 0.008, and only the outlier is wrong.

Legend: N bin of the histogram, E candidate pair of ends, C code.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor, nn

from leanformer.calibrate.ranges import ClippingSearch, Range, observe_ranges
from leanformer.numerics.grid import affine_grid, fake_quantize, quantize

_TAIL = 1e-4  # share clipped on each side by "percentile"
_SHRINK = torch.linspace(0.2, 1.0, 17)
_FLOOR = 1e-12  # probability of an end bin that holds clipped mass only


Method = Literal["min-max", "moving-average", "percentile", "mse", "entropy"]
"""How the range of an activation is chosen."""


def calibrate_ranges(
    model: nn.Module,
    batches: Iterable[dict[str, Tensor]],
    *,
    method: Method = "min-max",
    layers: tuple[str, ...] | None = None,
    divisors: dict[str, Tensor] | None = None,
) -> dict[str, Range]:
    """The range of the input of each linear layer, by the layer's name, clipped as `method` says.

    Args:
        model: The float model; it is run in evaluation mode.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.
        method: How the ends are chosen.
        layers: Only these layers; all that are reached, unless given.
        divisors: Divide the input of a layer by this, channel by channel (SmoothQuant).

    Raises:
        ValueError: `method` is unknown, or as `leanformer.calibrate.ranges.observe_ranges`.
    """
    methods: dict[str, Literal["min-max", "moving-average"] | ClippingSearch] = {
        "min-max": "min-max",
        "moving-average": "moving-average",
        "percentile": percentile_clipping,
        "mse": mse_clipping,
        "entropy": entropy_clipping,
    }
    if method not in methods:
        raise ValueError(f"method: {method!r} is not one of {', '.join(methods)}")
    return observe_ranges(model, batches, method=methods[method], layers=layers, divisors=divisors)


def percentile_clipping(counts_N: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends that leave out a share of 1e-4 on each side, given a histogram over [low, high]."""
    share = counts_N.cumsum(0) / counts_N.sum()
    width = (high - low) / len(counts_N)
    first = int((share > _TAIL).nonzero()[0])
    last = int((share >= 1 - _TAIL).nonzero()[0])
    return low + width * first, low + width * (last + 1)


def mse_clipping(counts_N: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends of the range of least squared error, given a histogram over [low, high]."""
    x_N = _centres(counts_N, low, high)
    ends_E2 = _candidates(low, high)
    grid = affine_grid(ends_E2[:, 0], ends_E2[:, 1])
    x_EN = x_N.expand(len(ends_E2), -1)
    error_E = (counts_N * (fake_quantize(x_EN, grid) - x_EN).square()).sum(1)
    return _chosen(ends_E2, error_E)


def entropy_clipping(counts_N: Tensor, low: float, high: float) -> tuple[float, float]:
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
