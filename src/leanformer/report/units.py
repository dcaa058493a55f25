"""Numbers as a reader wants them: the unit that fits, no more digits than mean something.

A column keeps one number of decimals throughout, so that its figures can be compared by eye.
"""

import math
from collections.abc import Sequence
from typing import Any

ABSENT = "–"
"""What stands where nothing was measured."""

_TOKENS = "token_probability"
_CORRELATIONS = ("spearman", "pearson", "cosine", "correlation", "mcc", "matthews", "ndcg", "mrr")


def significant(value: float, digits: int = 3) -> str:
    """`value` with about `digits` significant digits, thousands separated: 0.912, 14.1, 1,234."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ABSENT
    return f"{value:,.{_decimals(value, digits)}f}"


def column(values: Sequence[float | None]) -> list[str]:
    """`values` with the same decimals throughout: as many as the smallest needs for two digits."""
    present = [abs(value) for value in values if value]
    decimals = min(_decimals(min(present), 2), 3) if present else 0
    return [ABSENT if value is None else f"{value:,.{decimals}f}" for value in values]


def times(ratio: float) -> str:
    """A ratio as it is said: 14.1×, 2.6×, 1.84×."""
    decimals = 2 if ratio < 2 else 1 if ratio < 100 else 0
    return f"{ratio:,.{decimals}f}×"


def percent(fraction: float, decimals: int = 1) -> str:
    """A fraction in percent: 99.2 %."""
    return f"{100 * fraction:.{decimals}f} %"


def at_least(bound: float) -> str:
    """A lower bound in percent, never rounded up: 98.99 % of 0.98999."""
    return percent(math.floor(1e4 * bound) / 1e4, 2)


def share(fraction: float) -> str:
    """A share that was asked for, without needless decimals: 99 %, 99.5 %."""
    return f"{100 * fraction:.4g} %"


def score(value: float, metric: str) -> str:
    """A quality: correlations as 0.874, fractions of right answers in percent, perplexity for the
    probability of a token."""
    if metric == _TOKENS and value > 0:
        return f"perplexity {significant(1 / value)}"
    is_plain = any(name in metric.lower() for name in _CORRELATIONS) or not 0 <= value <= 1
    return f"{value:.3f}" if is_plain else percent(value)


def duration(seconds: float) -> str:
    """A span of time with two digits, in the unit that fits: 5.0 s, 22 min, 2.9 h, 1.3 days."""
    steps = ((86_400 * 2, 86_400, "days"), (3600, 3600, "h"), (60, 60, "min"), (0, 1, "s"))
    size, name = next((size, name) for least, size, name in steps if seconds >= least)
    return f"{significant(seconds / size, 2)} {name}"


def amount(value: Any, unit: str = "") -> str:
    """`value` with `unit`, scaled to be read: 7.71 MB, 1.92 ms, 5.3 M parameters."""
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if unit == "bytes":
        return _scaled(value, [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes")])
    if unit in ("s", "s/text"):
        return _scaled(value, [(1, "s"), (1e-3, "ms"), (1e-6, "µs")]) + unit[1:]
    if unit in ("fraction", "share"):
        return percent(value, 2)
    if unit in ("x", "×"):
        return times(value)
    text = _scaled(value, [(1e9, "G"), (1e6, "M"), (1, "")]) if abs(value) >= 1e6 else _bare(value)
    return f"{text} {unit}".strip()


def _bare(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.1e}" if abs(value) < 1e-3 else _trimmed(significant(value))


def _scaled(value: float, steps: list[tuple[float, str]]) -> str:
    size, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    text = _bare(value / size) if size == 1 and name != "s" else _trimmed(significant(value / size))
    return f"{text} {name}".strip()


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(value: float, digits: int) -> int:
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
