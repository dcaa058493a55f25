"""The horizontal axes of the front: what is measured, its unit, its ticks, and which way is better.

A cascade asks its second system only about the share r of the texts, so that times of its parts
add up (and rates as their inverses do):

    time(r) = time(first) + r · time(second)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from leanformer.core.quantity import Quantity
from leanformer.report.costs import million
from leanformer.report.drawing.axes import Spec
from leanformer.report.lineup import Lineup, System

Measure = Callable[[Lineup, System], Quantity | None]

_WIDE, _MIDDLE, _NARROW = 2.2, 1.5, 0.5  # decades
_PAD = 0.09  # decades, wider than half of any gap between the finest ticks
_UNITS = ((1, "s"), (60, "min"), (3600, "h"))


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that a system can be good at.

    Attributes:
        button: What chooses it.
        title: What stands at the axis.
        measure: The quantity of a system in its unit.
        scale: From that unit to the one of the axis.
        upward: Whether more is better.
        adds: Whether the times of a cascade's parts add up; None where neither times nor rates do.
        goal: The goal (`--for`) that it is shown for; "" = always.
    """

    button: str
    title: str
    measure: Measure
    scale: float = 1.0
    upward: bool = False
    adds: bool = True
    goal: str = ""

    def of(self, field: Lineup, system: System) -> float | None:
        """The place of a system on the axis."""
        quantity = self.measure(field, system)
        return None if quantity is None or not quantity.value else self.scale * quantity.value

    def together(self, first: float, second: float, share: float) -> float:
        """The place of a cascade that passes `share` of the texts on, by those of its parts."""
        if not self.upward:
            return first + share * second
        return 1 / (1 / first + share / second)


def _quantity(name: str) -> Measure:
    return lambda field, system: system.of(name)


AXES = {
    "cost": Axis(button="Cost", title="Time of one thread per million texts", measure=million),
    "throughput": Axis(
        button="Throughput",
        title="Texts per second, sorted by length",
        measure=_quantity("throughput"),
        upward=True,
    ),
    "latency_mean": Axis(
        button="Latency, mean",
        title="Mean latency of one text (ms)",
        measure=_quantity("latency_mean"),
        scale=1e3,
    ),
    "latency_32": Axis(
        button="Latency, 32 tokens",
        title="Latency of a text of 32 tokens (ms)",
        measure=_quantity("latency_32"),
        scale=1e3,
    ),
    "size": Axis(
        button="Size",
        title="Size on disk (MB)",
        measure=_quantity("size"),
        scale=1e-6,
        adds=False,
        goal="size",
    ),
    "memory": Axis(
        button="Memory",
        title="Peak memory (MB)",
        measure=_quantity("memory"),
        scale=1e-6,
        adds=False,
        goal="memory",
    ),
}
"""The horizontal axes by name, in the order of their buttons."""


def log_range(values: list[float], *, spans: bool) -> Spec:
    """A little more than the values span, with ticks that are easy to read.

    Args:
        values: Places on the axis.
        spans: Whether they are seconds, to be read as minutes and hours.
    """
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = max(0.08 * (high - low), _PAD)
    found = _seconds(high - low) if spans else _decades(low - pad, high + pad)
    ticks = [tick for tick in found if low - pad <= math.log10(tick) <= high + pad]
    texts = [_span(tick) for tick in ticks] if spans else [f"{tick:,.10g}" for tick in ticks]
    return {"range": [low - pad, high + pad], "tickvals": ticks, "ticktext": texts}


def _decades(low: float, high: float) -> list[float]:
    width = high - low
    steps: tuple[float, ...] = (1, 3) if width > _MIDDLE else (1, 2, 5)
    if width < _NARROW:
        steps = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    decades = range(math.floor(low), math.ceil(high) + 1)
    return [step * 10.0**decade for decade in decades for step in steps]


def _seconds(width: float) -> list[float]:
    """Spans of time, rarer where the axis is wide."""
    if width > _WIDE:
        steps: tuple[float, ...] = (1, 10)
    elif width > _MIDDLE / 2:
        steps = (1, 3, 10, 30)
    elif width > _NARROW / 2:
        steps = (1, 2, 3, 5, 10, 20, 30)
    else:
        steps = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 35, 40, 45, 50)
    more = [0.01, 0.1, 100 * 3600.0, 1000 * 3600.0]
    return [*more, *(float(step * size) for size, _ in _UNITS for step in steps)]


def _span(seconds: float) -> str:
    size, name = next((unit for unit in reversed(_UNITS) if seconds >= unit[0]), _UNITS[0])
    return f"{seconds / size:g} {name}"
