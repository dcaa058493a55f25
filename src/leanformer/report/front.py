"""The front: quality against speed, one mark a system, as a plain Plotly specification.

The staircase joins the systems that no other beats in both; the dashed line is the quality that had
to be kept.
"""

import html
import math

from leanformer.report.drawing.axes import Spec, axis_title, layout, quality_axis, short
from leanformer.report.lineup import Lineup, System
from leanformer.report.units import percent, score, share, significant, times
from leanformer.report.verdict import in_words

AXES = {
    "latency_32": ("Latency, 32 tokens", "Latency of one text of 32 tokens (ms, log scale)"),
    "latency_128": ("Latency, 128 tokens", "Latency of one text of 128 tokens (ms, log scale)"),
    "throughput": ("Throughput", "Throughput, length-sorted batches (texts/s, log scale)"),
}
"""The horizontal axes of the front: its button and its title."""

_NEAR = 0.05  # below the lowest mark
_BASE_SYMBOLS = ["square", "triangle-up", "cross", "triangle-down", "x"]


def front(field: Lineup, axis: str, split: str) -> Spec | None:
    """Quality on `split` against speed on `axis`; None where no system has both."""
    placed = [s for s in field.systems if s.of(axis) and split in s.quality]
    if not placed:
        return None
    x = {system.name: _x(system, axis) for system in placed}
    traces = [_pareto(placed, x, axis, split)]
    traces += [
        _marks(name, group, field, axis, split, style)
        for name, group, style in _groups(field, placed)
    ]
    title = AXES[axis][1]
    made = layout(height=440)
    made["xaxis"] |= {"type": "log", "title": axis_title(title), **_log_range(list(x.values()))}
    made["yaxis"] |= {"title": axis_title(f"{_upper(placed[0].metric)}, {_split_name(split)}")}
    qualities = [s.quality[split] for s in placed]
    made["yaxis"] |= quality_axis([*qualities, *_near(field, split, qualities)], placed[0].metric)
    _add_threshold(made, field, axis, split)
    return {"data": traces, "layout": made}


def _groups(field: Lineup, placed: list[System]) -> list[tuple[str, list[System], Spec]]:
    """The marks that share a look: each baseline by itself, the candidates by their fate."""
    groups: list[tuple[str, list[System], Spec]] = []
    bases = [s for s in placed if s.role != "candidate"]
    symbols = iter(_BASE_SYMBOLS * len(bases))
    for system in bases:
        is_teacher = system is field.teacher
        look = {
            "symbol": "diamond" if is_teacher else next(symbols),
            "size": 12,
            "color": "var(--teacher)" if is_teacher else "var(--baseline)",
        }
        groups.append((system.name, [system], look))
    students = [s for s in placed if s.role == "candidate" and s is not field.exported]
    kept = [s for s in students if s.decision in ("kept", "chosen")]
    rest = [s for s in students if s not in kept]
    groups.append(
        ("Students within the bar", kept, {"symbol": "circle", "size": 11, "color": "var(--kept)"})
    )
    groups.append(
        ("Students below it", rest, {"symbol": "circle-open", "size": 10, "color": "var(--kept)"})
    )
    if field.exported is not None and field.exported in placed:
        star = {"symbol": "star", "size": 19, "color": "var(--chosen)"}
        groups.append((f"Chosen: {field.exported.name}", [field.exported], star))
    return [group for group in groups if group[1]]


def _marks(
    name: str, group: list[System], field: Lineup, axis: str, split: str, look: Spec
) -> Spec:
    measured = [s.quantities[axis] for s in group]
    scale = 1 if axis == "throughput" else 1000
    line = {} if "open" in look["symbol"] else {"line": {"color": "var(--card)", "width": 1.5}}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": short(name, 44),
        "x": [_x(s, axis) for s in group],
        "y": [s.quality[split] for s in group],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "thickness": 1.2,
            "width": 3,
            "color": look["color"],
            "array": [scale * ((q.high or q.value) - q.value) for q in measured],
            "arrayminus": [scale * (q.value - (q.low or q.value)) for q in measured],
        },
        "marker": look | line,
        "hovertext": [_card(s, field, split) for s in group],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _pareto(placed: list[System], x: dict[str, float], axis: str, split: str) -> Spec:
    """The staircase of the best quality at each speed."""
    sign = -1 if axis == "throughput" else 1
    best: list[System] = []
    for system in sorted(placed, key=lambda s: (sign * x[s.name], -s.quality[split])):
        if not best or system.quality[split] > best[-1].quality[split]:
            best.append(system)
    return {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "name": "Best at each speed",
        "x": [x[s.name] for s in best],
        "y": [s.quality[split] for s in best],
        "line": {"shape": "hv", "color": "var(--front)", "width": 2},
    }


def _card(system: System, field: Lineup, split: str) -> str:
    """The hover card of a system."""
    facts = [in_words(system), system.backend]
    lines = [f"<b>{html.escape(system.name)}</b>", html.escape(" · ".join(f for f in facts if f))]
    kept = field.kept(system, split)
    lines.append(
        f"{system.metric} {score(system.quality[split], system.metric)}"
        + (f", {percent(kept)} of the teacher's" if kept is not None else "")
    )
    for name, text in (("latency_32", "ms at 32 tokens"), ("latency_128", "ms at 128 tokens")):
        quantity = system.of(name)
        if quantity:
            lines.append(f"{significant(1000 * quantity.value)} {text}")
    throughput, size = system.of("throughput"), system.of("size")
    if throughput:
        lines.append(f"{significant(throughput.value)} texts/s")
    if size:
        lines.append(f"{significant(size.value / 1e6)} MB on disk")
    for over, base in (
        (field.over_rival(system), field.rival),
        (field.over_eager(system), field.eager),
    ):
        if over is not None and base is not None:
            lines.append(f"{times(over.value)} {html.escape(base.name)}")
    return "<br>".join(lines)


def _asked(field: Lineup, split: str) -> float | None:
    """The quality that has to be kept; None where nothing is asked, or of a worthless teacher."""
    teachers = field.teacher.quality.get(split) if field.teacher else None
    if field.keep is None or teachers is None or teachers <= 0:
        return None
    return field.keep * teachers


def _near(field: Lineup, split: str, qualities: list[float]) -> list[float]:
    """That quality, unless to show it would squeeze the marks."""
    asked, low, high = _asked(field, split), min(qualities), max(qualities)
    return [asked] if asked is not None and asked > low - max(_NEAR, high - low) else []


def _add_threshold(made: Spec, field: Lineup, axis: str, split: str) -> None:
    """The dashed line at the quality that has to be kept, named where the slow systems are not."""
    y = _asked(field, split)
    if y is None or field.keep is None:
        return
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
    slow = 0.0 if axis == "throughput" else 1.0
    made["annotations"] = [
        {
            "xref": "paper",
            "x": slow,
            "xanchor": "left" if slow == 0 else "right",
            "y": y,
            "yanchor": "top",
            "showarrow": False,
            "font": {"color": "var(--bar)", "size": 12},
            "text": f"{share(field.keep)} of the teacher",
        }
    ]


def _x(system: System, axis: str) -> float:
    return system.quantities[axis].value * (1 if axis == "throughput" else 1000)


def _log_range(values: list[float]) -> Spec:
    """A little more than the values span, with ticks at 1, 2 and 5, or finer in a small span."""
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = max(0.08 * (high - low), 0.06)
    steps = (1, 2, 5) if high - low > 0.5 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    decades = range(math.floor(low - pad), math.ceil(high + pad) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return {
        "range": [low - pad, high + pad],
        "tickvals": ticks,
        "ticktext": [f"{tick:,.10g}" for tick in ticks],
    }


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _split_name(split: str) -> str:
    return {"dev": "development split", "test": "test split"}.get(split, split)
