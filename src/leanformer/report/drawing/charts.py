"""The charts of the page as plain Plotly specifications, one short function a chart.

Colours are the names of the page's CSS variables ("var(--chosen)"); the page puts in their values,
so that a chart follows the light and the dark theme. Names and texts that came from a user are
escaped: Plotly reads a little HTML in labels.
"""

import html
import math
from collections.abc import Sequence
from itertools import groupby

from leanformer.report.drawing.axes import (
    SERIES,
    Spec,
    axis_title,
    layer_names,
    layout,
    named_rows,
    quality_axis,
    short,
)
from leanformer.report.events import Event
from leanformer.report.units import score

_MOST_POINTS = 400

MOST_ROWS = 24
"""The rows of a bar or dumbbell chart; tables show the rest."""


def losses(rows: Sequence[Event], most: int = MOST_ROWS) -> Spec:
    """The loss of each layer as bars, worst first: of rounding it, or of removing its weights."""
    worst = sorted(rows, key=lambda row: -(row.get("loss") or 0))[:most]
    made = layout(height=110 + 24 * len(worst))
    made["xaxis"] |= {
        "title": axis_title("loss from changing this layer alone"),
        "rangemode": "tozero",
    }
    made["yaxis"] |= named_rows(layer_names([str(row.get("layer")) for row in worst]))
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(worst))),
        "x": [row.get("loss") for row in worst],
        "hovertext": [html.escape(str(row.get("layer"))) for row in worst],
        "text": [_loss(row.get("loss")) for row in worst],
        "textposition": "auto",
        "cliponaxis": False,
        "marker": {"color": "var(--series-1)"},
        "hovertemplate": "%{hovertext}<br>loss %{x:.3g}<extra></extra>",
    }
    return {"data": [bar], "layout": made}


def ranges(rows: Sequence[Event], most: int = MOST_ROWS) -> Spec | None:
    """The largest input and the largest weight of each layer, in the order of `losses`; None where
    the record has no ranges.

    An input hundreds of times larger than the weights is what makes a layer lose.
    """
    worst = sorted(rows, key=lambda row: -(row.get("loss") or 0))[:most]
    if not worst or any(row.get("high") is None for row in worst):
        return None
    made = layout(height=110 + 24 * len(worst))
    made["xaxis"] |= {
        "title": axis_title("largest value, either sign"),
        "type": "log",
        "dtick": 1,
    }
    made["yaxis"] |= named_rows(layer_names([str(row.get("layer")) for row in worst]))
    inputs = {
        "name": "inputs",
        "x": [max(abs(row["low"]), abs(row["high"])) or None for row in worst],
        "marker": {"color": "var(--series-1)", "size": 11, "symbol": "circle"},
        "customdata": [[row["low"], row["high"]] for row in worst],
        "hovertemplate": "%{hovertext}<br>inputs %{customdata[0]:.3g} to %{customdata[1]:.3g}"
        "<extra></extra>",
    }
    weights = {
        "name": "weights",
        "x": [row["weight"] or None for row in worst],
        "marker": {"color": "var(--series-2)", "size": 11, "symbol": "diamond"},
        "hovertemplate": "%{hovertext}<br>largest weight %{x:.3g}<extra></extra>",
    }
    shared = {
        "type": "scatter",
        "mode": "markers",
        "y": list(range(len(worst))),
        "hovertext": [html.escape(str(row.get("layer"))) for row in worst],
    }
    return {"data": [shared | inputs, shared | weights], "layout": made}


def slices(rows: Sequence[Event], metric: str, most: int = MOST_ROWS) -> Spec:
    """Teacher and student as two dots on a line, one line a slice, in the order given."""
    rows = [
        row for row in rows if row.get("teacher") is not None and row.get("student") is not None
    ]
    rows = rows[:most]
    names = [_slice_name(row) for row in rows]
    lines: Spec = {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        "x": [x for row in rows for x in (row["teacher"], row["student"], None)],
        "y": [y for index in range(len(rows)) for y in (index, index, None)],
        "line": {"color": "var(--link-line)", "width": 3},
    }
    made = layout(height=110 + 25 * len(rows))
    made["xaxis"] |= {"title": axis_title(metric)}
    made["xaxis"] |= quality_axis(
        [row[who] for row in rows for who in ("teacher", "student")], metric
    )
    made["yaxis"] |= named_rows(names)
    dots = [
        _dots("Teacher", "teacher", rows, names, metric, "var(--teacher)", "diamond", 13),
        _dots("Student", "student", rows, names, metric, "var(--chosen)", "circle", 10),
    ]
    return {"data": [lines, *dots], "layout": made}


def training(events: Sequence[Event], value: str, title: str) -> Spec | None:
    """`value` ("loss" or "dev") against the step, one line a model; None where nothing was."""
    rows = [row for row in events if row.get(value) is not None]
    by_model = {
        name: list(group)
        for name, group in groupby(sorted(rows, key=lambda r: r["model"]), lambda r: r["model"])
    }
    order = list(dict.fromkeys(row["model"] for row in rows))
    traces = [_curve(name, by_model[name], value, index) for index, name in enumerate(order)]
    made = layout(height=330)
    made["xaxis"] |= {"title": axis_title("training step"), "rangemode": "tozero"}
    made["yaxis"] |= {"title": axis_title(title)}
    if value == "dev":
        made["yaxis"] |= quality_axis([row[value] for row in rows], title)
    return {"data": traces, "layout": made} if traces else None


def _dots(
    name: str,
    who: str,
    rows: Sequence[Event],
    names: list[str],
    metric: str,
    color: str,
    symbol: str,
    size: int,
) -> Spec:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [row[who] for row in rows],
        "y": list(range(len(rows))),
        "marker": {"color": color, "size": size, "symbol": symbol},
        "hovertext": [
            f"{label}<br>{name}: {score(row[who], metric)}"
            for row, label in zip(rows, names, strict=True)
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _curve(name: str, rows: list[Event], value: str, index: int) -> Spec:
    every = max(1, math.ceil(len(rows) / _MOST_POINTS))
    rows = rows[::every] + ([rows[-1]] if (len(rows) - 1) % every else [])
    return {
        "type": "scatter",
        "name": short(name, 40),
        "mode": "lines+markers" if value == "dev" else "lines",
        "x": [row.get("step", row.get("epoch")) for row in rows],
        "y": [row[value] for row in rows],
        "line": {
            "color": SERIES[index % len(SERIES)],
            "width": 2,
            "dash": ["solid", "dash", "dot"][index // len(SERIES) % 3],
        },
        "marker": {"size": 7},
        "hovertemplate": f"<b>{html.escape(name)}</b><br>step %{{x}}: %{{y:.4g}}<extra></extra>",
    }


def _slice_name(row: Event) -> str:
    count = row.get("count")
    return short(row.get("name"), 26) + (f"  ({count})" if count is not None else "")


def _loss(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
