"""The charts of what pruning left: of each matrix, of each head, and of the quality.

Plotly specifications as in `leanformer.report.drawing.charts`.
"""

import re
from collections.abc import Sequence

from leanformer.report.drawing.axes import (
    SERIES,
    Spec,
    axis_title,
    layout,
    named_rows,
    quality_axis,
    short,
)
from leanformer.report.events import Event


def kept(rows: Sequence[Event]) -> Spec:
    """The share of weights that is left in each matrix, layers from left to right."""
    cells = {_place(str(row["layer"])): row["kept"] for row in rows}
    layers = sorted({layer for layer, _ in cells})
    kinds = list(dict.fromkeys(kind for _, kind in cells))
    shares = [[cells.get((layer, kind)) for layer in layers] for kind in kinds]
    return _heatmap(layers, [short(kind, 34) for kind in kinds], shares)


def kept_heads(shares: Sequence[Sequence[float]]) -> Spec:
    """The share of weights that is left of each head, layers from left to right."""
    most = max(map(len, shares))
    rows = [
        [layer[head] if head < len(layer) else None for layer in shares] for head in range(most)
    ]
    names = [f"head {head}" for head in range(most)]
    return _heatmap(list(range(len(shares))), names, rows)


def _heatmap(layers: list[int], names: list[str], shares: list[list[float | None]]) -> Spec:
    """Cells of a row a name and a column a layer, darker where more is left."""
    made = layout(height=150 + 30 * len(names))
    made["xaxis"] |= {"title": axis_title("layer"), "dtick": 1, "showgrid": False}
    made["yaxis"] |= named_rows(names)
    heat = {
        "type": "heatmap",
        "x": layers,
        "y": list(range(len(names))),
        "z": shares,
        "zmin": 0,
        "zmax": max(share for row in shares for share in row if share is not None),
        "colorscale": [[0, "var(--card)"], [1, "var(--series-1)"]],
        "colorbar": {"tickformat": ".0%", "thickness": 12},
        "customdata": [[name] * len(layers) for name in names],
        "text": [["" if s is None else f"{s:.1%}" for s in row] for row in shares],
        "texttemplate": "%{text}",
        "hovertemplate": "layer %{x}, %{customdata}<br>%{z:.2%} kept<extra></extra>",
        "xgap": 2,
        "ygap": 2,
    }
    return {"data": [heat], "layout": made}


def tickets(rows: Sequence[Event], metric: str) -> Spec:
    """Quality against the share of weights that is left, one line a way to begin again."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    dense = [row for row in rows if row["way"] == "dense"]
    traces = []
    for index, way in enumerate(way for way in ways if way != "dense"):
        mine = sorted(
            [*dense, *[row for row in rows if row["way"] == way]], key=lambda row: -row["kept"]
        )
        traces.append(
            {
                "type": "scatter",
                "name": short(way, 40),
                "mode": "lines+markers",
                "x": [row["kept"] for row in mine],
                "y": [row["quality"] for row in mine],
                "line": {"color": SERIES[index % len(SERIES)], "width": 2},
                "marker": {"size": 8},
                "hovertemplate": "%{x:.1%} of the weights<br>%{y:.4f}"
                "<extra>%{fullData.name}</extra>",
            }
        )
    made = layout(height=360)
    made["xaxis"] |= {
        "title": axis_title("weights left"),
        "type": "log",
        "autorange": "reversed",
        "tickformat": ".0%",
    }
    made["yaxis"] |= {"title": axis_title(metric)}
    made["yaxis"] |= quality_axis([row["quality"] for row in rows], metric)
    return {"data": traces, "layout": made}


def _place(name: str) -> tuple[int, str]:
    """The number of a layer in a dotted name, and what comes after it."""
    found = re.search(r"\.(\d+)\.(.+)$", name)
    return (int(found[1]), found[2]) if found else (0, name)
