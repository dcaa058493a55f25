"""The front: what is kept of the teacher's quality against what it costs, one mark per system.

The window is the same in every report, from a little above 100 % down to 90 % (lower only where
less was asked or chosen); what lies below it is marked at its edge and named beneath. The staircase
joins the systems that no other beats in both, the dashed line is the share that had to be kept,
and a thin line shows what a cascade would be at each of its thresholds, as dev estimates it.
"""

import math

from leanformer.report.drawing.axes import Spec, axis_title, layout, short
from leanformer.report.drawing.families import Family, families
from leanformer.report.drawing.front_axes import AXES, Axis, log_range
from leanformer.report.drawing.front_words import card, missing
from leanformer.report.drawing.gates import thresholds
from leanformer.report.lineup import Lineup, System
from leanformer.report.units import share

_FLOOR = 0.9
_MARGIN = 0.01  # below what was asked or chosen
_PAD = 0.004  # a mark at the edge is not cut
_FINE = 0.85  # above it each percent has a line


def front(field: Lineup, axis: str, split: str) -> Spec | None:
    """The share of the teacher's quality on `split` against `axis`; None where no system has both.

    Returns:
        "data" and "layout" of Plotly's, with "better" (which way is) and "missing" (what is not in
        the picture) to be said beside it.
    """
    on = AXES[axis]
    shares = {s.name: kept for s in field.systems if (kept := field.kept(s, split)) is not None}
    x = {s.name: value for s in field.systems if (value := on.of(field, s)) is not None}
    placed = [s for s in field.systems if s.name in shares and s.name in x]
    if not placed:
        return None
    floor = _floor(field, shares)
    inside = [s for s in placed if shares[s.name] >= floor]
    edge = [s for s in placed if shares[s.name] < floor]
    traces = [_pareto(inside, x, shares, upward=on.upward)] if inside else []
    traces += [line for line in [thresholds(field, on, split)] if line]
    if edge:
        traces.append(_edge(edge, field, split, x, floor))
    for family in families(field, inside):
        traces.append(_marks(family, field, on, split, x, shares))
    made = layout(height=460)
    places = [x[s.name] for s in placed]
    made["xaxis"] |= {"type": "log", "title": axis_title(on.title)}
    made["xaxis"] |= log_range(places, spans=axis == "cost")
    metric = placed[0].metric
    made["yaxis"] |= {
        "title": axis_title(f"Share of the teacher's {metric}, {_split_name(split)}"),
        "range": [floor - _PAD, max(1.0, *shares.values()) + _PAD],
        "tickformat": ".0%",
        **({"dtick": 0.01} if floor > _FINE else {}),
    }
    _add_asked(made, field, upward=on.upward)
    return {
        "data": traces,
        "layout": made,
        "better": f"Better is up and {'right' if on.upward else 'left'}",
        "missing": missing(field, edge, x, shares, floor),
    }


def _floor(field: Lineup, shares: dict[str, float]) -> float:
    """The lowest share of the picture, in whole percent."""
    shown = [field.keep] if field.keep is not None else []
    shown += [shares[s.name] for s in (field.exported,) if s is not None and s.name in shares]
    lowest = min([_FLOOR + _MARGIN, *(value for value in shown if value > 0)])
    return math.floor(100 * (lowest - _MARGIN) + 1e-6) / 100


def _marks(
    family: Family,
    field: Lineup,
    on: Axis,
    split: str,
    x: dict[str, float],
    shares: dict[str, float],
) -> Spec:
    measured = [q for s in family.systems if (q := on.measure(field, s)) is not None]
    fill, outline = family.color, {"color": "var(--card)", "width": 1.5}
    if family.hollow:  # filled with the paper's colour, so that the bars end at the outline
        fill, outline = "var(--card)", {"color": family.color, "width": 2}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": short(family.name, 60),
        "x": [x[s.name] for s in family.systems],
        "y": [shares[s.name] for s in family.systems],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "thickness": 1.2,
            "width": 3,
            "color": family.color,
            "array": [on.scale * ((q.high or q.value) - q.value) for q in measured],
            "arrayminus": [on.scale * (q.value - (q.low or q.value)) for q in measured],
        },
        "marker": {"symbol": family.symbol, "size": family.size, "color": fill, "line": outline},
        "meta": {"symbol": family.symbol + "-open" * family.hollow, "color": family.color},
        "hovertext": [card(s, field, split) for s in family.systems],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _edge(
    systems: list[System], field: Lineup, split: str, x: dict[str, float], floor: float
) -> Spec:
    """Systems that keep less than the picture shows, at its lower edge."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"Below {share(floor)}",
        "x": [x[s.name] for s in systems],
        "y": [floor] * len(systems),
        "marker": {"symbol": "arrow-down", "size": 11, "color": "var(--muted)"},
        "hovertext": [card(s, field, split) for s in systems],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _pareto(
    placed: list[System], x: dict[str, float], shares: dict[str, float], *, upward: bool
) -> Spec:
    """The staircase of the best share at each cost."""
    sign = -1 if upward else 1
    best: list[System] = []
    for system in sorted(placed, key=lambda s: (sign * x[s.name], -shares[s.name])):
        if not best or shares[system.name] > shares[best[-1].name]:
            best.append(system)
    return {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "name": "Best at each cost",
        "x": [x[s.name] for s in best],
        "y": [shares[s.name] for s in best],
        "line": {"shape": "hv", "color": "var(--front)", "width": 2},
    }


def _add_asked(made: Spec, field: Lineup, *, upward: bool) -> None:
    """The dashed line at the share that has to be kept, named where the slow systems are not."""
    if field.keep is None:
        return
    y = field.keep
    made["shapes"] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": y,
            "y1": y,
            "line": {"color": "var(--bar)", "width": 1.5, "dash": "dash"},
        }
    ]
    made["annotations"] = [
        {
            "xref": "paper",
            "x": 0.0 if upward else 1.0,
            "xanchor": "left" if upward else "right",
            "y": y,
            "yanchor": "top",
            "showarrow": False,
            "font": {"color": "var(--bar)", "size": 12},
            "text": f"{share(field.keep)} asked",
        }
    ]


def _split_name(split: str) -> str:
    return {"dev": "development split", "test": "test split"}.get(split, split)
