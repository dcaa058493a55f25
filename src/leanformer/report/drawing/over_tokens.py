"""Charts of a pre-training: what changes as tokens are read."""

import math
from collections.abc import Sequence
from typing import Any

from leanformer.report.drawing.axes import SERIES, Spec, axis_title, layout, short

_MOST_POINTS = 400


def over_tokens(lines: Sequence[Spec], title: str, *, zero: bool = False) -> Spec:
    """Lines that `curve` made, over the tokens that were read; the axis from `zero` or not."""
    made = layout(height=330)
    made["xaxis"] |= {"title": axis_title("tokens read"), "rangemode": "tozero"}
    made["yaxis"] |= {"title": axis_title(title), "rangemode": "tozero" if zero else "normal"}
    for number, line in enumerate(lines):
        line["line"] = {"color": SERIES[number % len(SERIES)], "width": 2}
    return {"data": list(lines), "layout": made}


def curve(
    name: str, rows: Sequence[dict[str, Any]], key: str, *, unit: float = 1, marks: bool = False
) -> Spec:
    """The values of `key` as a line; of many, 400 means of equally many rows.

    Args:
        name: How the legend calls it.
        rows: Events with `tokens` and `key`; those without a value are left out.
        key: What is drawn.
        unit: What the values are divided by.
        marks: Whether each value has a mark.
    """
    there = [row for row in rows if row.get(key) is not None]
    size = max(1, math.ceil(len(there) / _MOST_POINTS))
    groups = [there[start : start + size] for start in range(0, len(there), size)]
    return {
        "type": "scatter",
        "name": short(name, 40),
        "mode": "lines+markers" if marks or len(groups) == 1 else "lines",
        "x": [group[-1]["tokens"] for group in groups],
        "y": [sum(row[key] for row in group) / len(group) / unit for group in groups],
        "marker": {"size": 7},
        "hovertemplate": f"<b>{short(name, 40)}</b><br>%{{x:,}} tokens: %{{y:.4g}}<extra></extra>",
    }
