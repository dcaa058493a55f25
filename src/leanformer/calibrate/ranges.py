"""The range of every linear layer's input on real texts, and from it an int8 grid.

    min-max      [min x, max x]                     no clipping; one outlier widens every step
    percentile   [q, 1 - q] quantiles               clips the same share everywhere
    mse          argmin over [l, h] of  Σ_bins n · (x - FQ(x))²      clips where it pays

Padding is left out: only positions whose attention mask is 1 are looked at. Two passes: the first
finds the outer range and the largest value of each channel, the second fills a histogram inside it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.numerics.grid import Grid, affine_grid, fake_quantize, row_grid

Method = Literal["min-max", "percentile", "mse"]
METHODS = ("min-max", "percentile", "mse")
_BINS = 1024
_TAIL = 1e-4  # share clipped on each side by "percentile"
_SHRINK = torch.linspace(0.2, 1.0, 17)


@dataclass(frozen=True, eq=False)
class Range:
    """What a layer's input looked like.

    Attributes:
        low: The lower end that the method chose.
        high: The upper end.
        channel: The largest absolute value of each input channel, shape [in].
    """

    low: float
    high: float
    channel: Tensor

    def grid(self) -> Grid:
        """The 8-bit affine grid over the range."""
        return affine_grid(torch.tensor(self.low), torch.tensor(self.high))


def observe_ranges(
    model: nn.Module,
    batches: Iterable[dict[str, Tensor]],
    *,
    method: Method = "min-max",
    layers: tuple[str, ...] | None = None,
    divisors: dict[str, Tensor] | None = None,
) -> dict[str, Range]:
    """The range of the input of each linear layer, by the layer's name.

    Args:
        model: The float model; it is run in evaluation mode.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.
        method: How the ends are chosen; see above.
        layers: Only these layers; all that are reached, unless given.
        divisors: Divide the input of a layer by this, channel by channel (SmoothQuant).

    Raises:
        ValueError: `method` is unknown, there are no batches, or a layer is no linear layer.
    """
    if method not in METHODS:
        raise ValueError(f"method: {method!r} is not one of {', '.join(METHODS)}")
    batches = list(batches)
    if not batches:
        raise ValueError("batches: none to observe; give about 128 texts")
    linears = {n: m for n, m in model.named_modules() if isinstance(m, nn.Linear)}
    if unknown := [name for name in layers or () if name not in linears]:
        raise ValueError(f"layers: no linear layer is named {', '.join(unknown)}")
    chosen = {name: linears[name] for name in (layers or linears)}
    divisors = divisors or {}
    outer: dict[str, tuple[Tensor, Tensor]] = {}

    def widen(name: str, x_NI: Tensor) -> None:
        low, high = x_NI.amin(0), x_NI.amax(0)
        if name in outer:
            low, high = torch.minimum(low, outer[name][0]), torch.maximum(high, outer[name][1])
        outer[name] = (low, high)

    _run(model, chosen, batches, widen, divisors)
    ends = {name: (float(low.min()), float(high.max())) for name, (low, high) in outer.items()}
    if method != "min-max":
        ends = _narrowed(model, chosen, batches, divisors, ends, method)
    return {
        name: Range(*ends[name], torch.maximum(low.abs(), high.abs()))
        for name, (low, high) in outer.items()
    }


def quantization_loss(
    model: nn.Module, ranges: dict[str, Range], batches: Iterable[dict[str, Tensor]]
) -> list[tuple[str, float]]:
    """Relative output error of each layer when only it is in int8, worst first.

    ‖FQ(x) FQ(W)ᵀ - x Wᵀ‖² / ‖x Wᵀ‖² over all real tokens of `batches`.
    """
    linears: dict[str, Any] = {name: model.get_submodule(name) for name in ranges}
    weights = {n: fake_quantize(m.weight, row_grid(m.weight)) for n, m in linears.items()}
    grids = {name: found.grid() for name, found in ranges.items()}
    sums = {name: [0.0, 0.0] for name in ranges}

    def compare(name: str, x_NI: Tensor) -> None:
        exact = x_NI @ linears[name].weight.T
        error = fake_quantize(x_NI, grids[name]) @ weights[name].T - exact
        sums[name][0] += float(error.square().sum())
        sums[name][1] += float(exact.square().sum())

    _run(model, linears, list(batches), compare, {})
    losses = [(name, error / max(total, 1e-30)) for name, (error, total) in sums.items()]
    return sorted(losses, key=lambda pair: pair[1], reverse=True)


def mse_ends(counts: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends of the range of least squared error, given a histogram over [low, high]."""
    width = (high - low) / len(counts)
    x_N = low + width * (torch.arange(len(counts)) + 0.5)
    ends_E2 = torch.cartesian_prod(
        low * _SHRINK if low < 0 else torch.tensor([low]), high * _SHRINK
    )
    grid = affine_grid(ends_E2[:, 0], ends_E2[:, 1])
    x_EN = x_N.expand(len(ends_E2), -1)
    error_E = (counts * (fake_quantize(x_EN, grid) - x_EN).square()).sum(1)
    best = ends_E2[error_E.argmin()]
    return float(best[0]), float(best[1])


def percentile_ends(counts: Tensor, low: float, high: float) -> tuple[float, float]:
    """The ends that leave out a share of 1e-4 on each side, given a histogram over [low, high]."""
    share = counts.cumsum(0) / counts.sum()
    width = (high - low) / len(counts)
    first = int((share > _TAIL).nonzero()[0])
    last = int((share >= 1 - _TAIL).nonzero()[0])
    return low + width * first, low + width * (last + 1)


def _narrowed(
    model: nn.Module,
    layers: dict[str, nn.Linear],
    batches: list[dict[str, Tensor]],
    divisors: dict[str, Tensor],
    ends: dict[str, tuple[float, float]],
    method: Method,
) -> dict[str, tuple[float, float]]:
    counts = {name: torch.zeros(_BINS) for name in ends}

    def fill(name: str, x_NI: Tensor) -> None:
        counts[name] += torch.histc(x_NI, _BINS, *ends[name])

    _run(model, layers, batches, fill, divisors)
    narrow = mse_ends if method == "mse" else percentile_ends
    return {
        name: narrow(counts[name], low, high) if high > low else (low, high)
        for name, (low, high) in ends.items()
    }


def _run(
    model: nn.Module,
    layers: dict[str, Any],
    batches: list[dict[str, Tensor]],
    see: Callable[[str, Tensor], None],
    divisors: dict[str, Tensor],
) -> None:
    """Call `see(name, rows)` with the real rows that go into each layer."""
    keep: list[Tensor | None] = [None]

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0]
            mask = keep[0]
            rows = x[mask.bool()] if mask is not None and x.shape[:-1] == mask.shape else x
            rows = rows.reshape(-1, x.shape[-1])
            see(name, rows / divisors[name] if name in divisors else rows)

        return look

    handles = [m.register_forward_pre_hook(hook(name)) for name, m in layers.items()]
    try:
        with _evaluating(model), torch.no_grad():
            for batch in batches:
                keep[0] = batch.get("attention_mask")
                model(**batch)
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
