"""The range of every linear layer's input on real texts, and from it an int8 grid.

    min-max          [min x, max x]                  no clipping; one outlier widens every step
    moving-average   m ← m + (m_batch - m) / 10      ends of each batch, averaged
    a function       (counts, min x, max x) → ends   searches a histogram for where to clip

Padding is left out: only positions whose attention mask is 1 are looked at. The first pass finds
the outer range and the largest value of each channel; where ends are searched for, a second pass
fills a histogram inside that range.

Legend: N row, I in.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanformer.core.machine.device import device_of, inputs_on
from leanformer.numerics.grid import Grid, input_grid

ClippingSearch = Callable[[Tensor, float, float], tuple[float, float]]
"""From a histogram over [low, high], its counts and both ends, to the ends at which to clip."""
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
    method: Literal["min-max", "moving-average"] | ClippingSearch = "min-max",
    layers: tuple[str, ...] | None = None,
    divisors: dict[str, Tensor] | None = None,
) -> dict[str, Range]:
    """The range of the input of each linear layer, by the layer's name.

    Args:
        model: The float model; it is run in evaluation mode.
        batches: Keyword arguments of the model, with `attention_mask` where there is padding.
        method: How the ends are chosen; see the top of this file.
        layers: Only these layers; all that are reached, unless given.
        divisors: Divide the input of a layer by this, channel by channel (SmoothQuant).

    Raises:
        ValueError: There are no batches, a layer is not a linear layer, or the input of one is not
            finite.
    """
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
        ends = _clipped(model, chosen, batches, divisors, ends, method)
    return {name: Range(*ends[name], low, high) for name, (low, high) in outer.items()}


def _clipped(
    model: nn.Module,
    layers: dict[str, nn.Linear],
    batches: list[dict[str, Tensor]],
    divisors: dict[str, Tensor],
    ends: dict[str, tuple[float, float]],
    search: ClippingSearch,
) -> dict[str, tuple[float, float]]:
    """Ends found by `search` on a histogram of each layer's inputs within its outer `ends`."""
    counts = {name: torch.zeros(_BINS, device=device_of(model)) for name in ends}

    def fill(name: str, x_NI: Tensor) -> None:
        counts[name] += torch.histc(x_NI, _BINS, *ends[name])

    observe_rows(model, layers, batches, fill, divisors)
    return {
        name: search(counts[name].cpu(), low, high) if high > low else (low, high)
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
                inputs = inputs_on(device_of(model), batch)
                keep[0] = inputs.get("attention_mask")
                model(**inputs)
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
