"""What all charts of the page share: frame, axes, and names that fit beside them.

Colours are the names of the page's CSS variables ("var(--grid)"). Names and texts that came from a
user are escaped: Plotly reads a little HTML in labels.
"""

import html
from itertools import takewhile
from typing import Any

from leanformer.report.units import score

Spec = dict[str, Any]

SERIES = [f"var(--series-{index})" for index in range(1, 8)]
"""The colours of lines, in turn."""


def layout(height: int) -> Spec:
    """What all charts share: no frame, quiet grid, the page's own type."""
    axis = {
        "gridcolor": "var(--grid)",
        "zeroline": False,
        "linecolor": "var(--line)",
        "automargin": True,
        "ticks": "",
    }
    return {
        "height": height,
        "autosize": True,
        "margin": {"l": 8, "r": 18, "t": 16, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--muted)", "size": 13},
        "hoverlabel": {
            "align": "left",
            "bgcolor": "var(--card)",
            "bordercolor": "var(--line)",
            "font": {"color": "var(--ink)", "size": 13},
            "namelength": -1,
        },
        "hovermode": "closest",
        "showlegend": False,
        "xaxis": dict(axis),
        "yaxis": dict(axis),
    }


def quality_axis(values: list[float], metric: str) -> Spec:
    """Bounds that leave room around the marks, in percent where the metric is a fraction."""
    if not values:
        return {}
    low, high = min(values), max(values)
    pad = max(0.08 * (high - low), 0.004)
    is_percent = score(high, metric).endswith("%")
    ceiling = 1.0 + pad / 2 if is_percent else high + pad
    fine = high - low < 0.05
    form = {"tickformat": ".1~%" if fine else ".0%"} if is_percent else {"tickformat": ".2f"}
    if metric == "token_probability":  # of one token among thousands
        pad, form = min(pad, 0.08 * high), {"tickformat": ".2~g"}
    return {"range": [low - pad, min(high + pad, ceiling)], **form}


def axis_title(text: str) -> Spec:
    """The title of an axis, in the size of its ticks."""
    return {"text": text, "standoff": 14, "font": {"size": 13}}


def named_rows(names: list[str]) -> Spec:
    """A vertical axis of names, placed by number from the top down: equal names stay apart."""
    return {
        "range": [len(names) - 0.4, -0.6],
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "showgrid": False,
        "ticklabelstandoff": 6,
    }


def short(text: Any, most: int) -> str:
    """`text`, cut to `most` characters and escaped for a label."""
    text = str(text)
    return html.escape(text if len(text) <= most else f"{text[: most - 1]}…")


def layer_names(names: list[str], most: int = 34) -> list[str]:
    """Dotted names without what they all begin with, save its last word: "layer.0.output.dense"."""
    parts = [name.split(".") for name in names]
    alike = (len(set(words)) == 1 for words in zip(*parts, strict=False))
    shared = sum(takewhile(bool, alike)) if len(parts) > 1 else 0
    ends = [".".join(part[max(0, shared - 1) :]) for part in parts]
    return [html.escape(end if len(end) <= most else f"…{end[1 - most :]}") for end in ends]
