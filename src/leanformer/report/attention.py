"""What `leanformer attention bench` measured, as a page: time and memory against the length."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leanformer.core.record import read
from leanformer.core.storage.files import write_text
from leanformer.measure.environment import machine_of
from leanformer.report.drawing.axes import Spec, axis_title, layout
from leanformer.report.page import render

_LOOKS = ("solid", "dash", "dot", "dashdot")
_COLOURS = 7


def write_page(record: Path, out: Path | None = None) -> Path:
    """Draw the `attention` events of a record; beside it, ending in .html, when `out` is absent.

    Raises:
        FileNotFoundError: There is no such record.
        ValueError: It has no such event.
    """
    events = [event for event in read(record) if event.get("event") == "attention"]
    if not events:
        raise ValueError(f"{record}: nothing was measured; run leanformer attention bench")
    path = out if out is not None else record.with_suffix(".html")
    specs: dict[str, Spec] = {}
    parts: list[dict[str, Any]] = []
    machines = [machine_of(event.get("environment")) for event in events]
    works = [work_of(event) for event in events]
    for machine, work in dict.fromkeys(zip(machines, works, strict=True)):  # never two in a chart
        each = zip(events, machines, works, strict=True)
        rows = last(event for event, *of in each if of == [machine, work])
        key = str(len(parts))
        specs[f"time/{key}"] = lines(rows, "ratio", "times the time of dense attention")
        specs[f"memory/{key}"] = lines(rows, "peak", "MiB beyond queries, keys and values")
        title = " ".join(work)
        parts.append({"key": key, "title": title, "machine": machine, "table": grid(rows)})
    drawn = {e["name"]: e["picture"] for e in read(record) if e.get("event") == "picture"}
    specs |= {f"picture/{name}": pattern(cells) for name, cells in drawn.items()}
    values = {
        "parts": parts,
        "machines": list(dict.fromkeys(machines)),
        "padded": any(event["work"].get("padded") for event in events),
        "pictures": list(drawn),
    }
    write_text(path, render("attention.html.jinja", specs=specs, **values))
    return path


def work_of(event: dict[str, Any]) -> tuple[str, ...]:
    """Device, direction, passes and padding of an event, in words."""
    work = event["work"]
    return (
        work["device"],
        "causal" if work["causal"] else "bidirectional",
        "training" if work["backward"] else "inference",
        *([f"with {work['padded']:.0%} padding"] if work.get("padded") else []),
    )


def last(events: Any) -> list[dict[str, Any]]:
    """The last measurement of each mechanism at each length, shortest texts first."""
    found = {(event["name"], event["work"]["length"]): event for event in events}
    return sorted(found.values(), key=lambda event: event["work"]["length"])


def lines(rows: Sequence[dict[str, Any]], key: str, title: str) -> Spec:
    """One line a mechanism over the length, both axes logarithmic."""
    made = layout(height=460)
    lengths = sorted({row["work"]["length"] for row in rows})
    made["xaxis"] |= {
        "type": "log",
        "title": axis_title("tokens"),
        "tickvals": lengths,
        "ticktext": [str(length) for length in lengths],
    }
    made["yaxis"] |= {"type": "log", "title": axis_title(title)}
    names = list(dict.fromkeys(row["name"] for row in rows))
    data = [
        _line(name, number, [row for row in rows if row["name"] == name], key)
        for number, name in enumerate(names)
    ]
    return {"data": data, "layout": made}


def _line(name: str, number: int, rows: list[dict[str, Any]], key: str) -> Spec:
    unit = 2**20 if key == "peak" else 1
    points = [(row["work"]["length"], _value(row[key])) for row in rows]
    drawn = [(length, value / unit) for length, value in points if value]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [length for length, _ in drawn],
        "y": [value for _, value in drawn],
        "line": {
            "color": f"var(--series-{number % _COLOURS + 1})",
            "dash": _LOOKS[number // _COLOURS % len(_LOOKS)],
        },
        "hovertemplate": f"{name}<br>%{{x}} tokens: %{{y:.3g}}<extra></extra>",
    }


def pattern(cells: list[list[float]]) -> Spec:
    """Which tokens see which, the first query at the top."""
    made = layout(height=300)
    made["xaxis"] |= {"title": axis_title("key"), "showticklabels": False, "showgrid": False}
    made["yaxis"] |= {
        "title": axis_title("query"),
        "showticklabels": False,
        "showgrid": False,
        "autorange": "reversed",
    }
    heat = {
        "type": "heatmap",
        "z": cells,
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
        "colorscale": [[0, "rgba(0,0,0,0)"], [1, "var(--series-1)"]],
        "hoverinfo": "skip",
    }
    return {"data": [heat], "layout": made}


def grid(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same as a table: a row a mechanism, a column a length."""
    lengths = sorted({row["work"]["length"] for row in rows})
    cells = {(row["name"], row["work"]["length"]): row for row in rows}
    body = []
    for name in dict.fromkeys(row["name"] for row in rows):
        found = [cells.get((name, length)) for length in lengths]
        body.append([name, *(_cell(row) for row in found)])
    return {"head": ["mechanism", *(f"{length} tokens" for length in lengths)], "body": body}


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    ratio = row["ratio"]
    spread = f" [{ratio['low']:.2f}, {ratio['high']:.2f}]" if ratio.get("low") is not None else ""
    return f"{ratio['value']:.3f}{spread}"


def _value(found: Any) -> float | None:
    return found["value"] if isinstance(found, dict) else found
