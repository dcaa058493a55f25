"""The range of every linear layer's input on real texts, and from it an int8 grid.

    min-max          [min x, max x]                  no clipping; one outlier widens every step
    moving-average   m ← m + (m_batch - m) / 10      ends of each batch, averaged
    percentile, mse, entropy                         see `calibrate.ends`: they look at a histogram

Padding is left out: only positions whose attention mask is 1 are looked at. Two passes: the first
finds the outer range and the largest value of each channel, the second fills a histogram inside it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.calibrate.ends import entropy_ends, mse_ends, percentile_ends
from leanformer.numerics.grid import Grid, fake_quantize, input_grid, row_grid

Method = Literal["min-max", "moving-average", "percentile", "mse", "entropy"]
METHODS = ("min-max", "moving-average", "percentile", "mse", "entropy")
_ENDS = {"percentile": percentile_ends, "mse": mse_ends, "entropy": entropy_ends}
_BINS = 1024
_MOVE = 0.1  # share of the way that a batch moves the average


@dataclass(frozen=True, eq=False)
class Range:
    """What a layer's input looked like.

    Attributes:
        low: The lower end that the method chose.
        high: The upper end.
        low_I: The lowest value of each input channel.
        high_I: The highest value of each input channel.
    """

    low: float
    high: float
    low_I: Tensor
    high_I: Tensor

    @property
    def channel(self) -> Tensor:
        """The largest absolute value of each input channel, shape [in]."""
        return torch.maximum(self.low_I.abs(), self.high_I.abs())

    def grid(self) -> Grid:
        """The 8-bit grid of these inputs."""
        return input_grid(torch.tensor(self.low), torch.tensor(self.high))


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
        ValueError: `method` is unknown, there are no batches, a layer is no linear layer, or what
            goes into one is not finite.
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
    moved: dict[str, Tensor] = {}

    def widen(name: str, x_NI: Tensor) -> None:
        low, high = x_NI.amin(0), x_NI.amax(0)
        ends_2 = torch.stack([low.min(), high.max()])
        if not torch.isfinite(ends_2).all():
            raise ValueError(
                f"{name}: its inputs are not finite; look for NaN in the model's weights, or for "
                "a text that makes them"
            )
        moved[name] = ends_2 if name not in moved else moved[name].lerp(ends_2, _MOVE)
        if name in outer:
            low, high = torch.minimum(low, outer[name][0]), torch.maximum(high, outer[name][1])
        outer[name] = (low, high)

    observe_rows(model, chosen, batches, widen, divisors)
    ends = {name: (float(low.min()), float(high.max())) for name, (low, high) in outer.items()}
    if method == "moving-average":
        ends = {name: (float(low), float(high)) for name, (low, high) in moved.items()}
    elif method != "min-max":
        ends = _narrowed(model, chosen, batches, divisors, ends, method)
    return {name: Range(*ends[name], low, high) for name, (low, high) in outer.items()}


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

    observe_rows(model, linears, list(batches), compare)
    losses = [(name, error / max(total, 1e-30)) for name, (error, total) in sums.items()]
    return sorted(losses, key=lambda pair: pair[1], reverse=True)


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

    observe_rows(model, layers, batches, fill, divisors)
    return {
        name: _ENDS[method](counts[name], low, high) if high > low else (low, high)
        for name, (low, high) in ends.items()
    }


def observe_rows(
    model: nn.Module,
    layers: dict[str, Any],
    batches: list[dict[str, Tensor]],
    see: Callable[[str, Tensor], None],
    divisors: dict[str, Tensor] | None = None,
) -> None:
    """Call `see(name, rows)` with the real rows [N, in] that go into each layer, batch by batch.

    Args:
        model: Run in evaluation mode, without gradients.
        layers: Which of its modules, by name.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.
        see: What is done with them.
        divisors: Divide the input of a layer by this, channel by channel.
    """
    divisors = divisors or {}
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
