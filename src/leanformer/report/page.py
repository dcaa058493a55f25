"""The page: a record becomes one HTML file that holds everything it needs.

Nothing is fetched when it is opened: plotly.js, styles and data are inside, and a content security
policy forbids the rest. Data enters as escaped text or as JSON that cannot close its script.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from leanformer.core.storage.files import write_text
from leanformer.report import evidence, plan, sparsity, tables
from leanformer.report.costs import CORE_HOUR
from leanformer.report.drawing import charts
from leanformer.report.drawing.front import front
from leanformer.report.drawing.front_axes import AXES
from leanformer.report.events import Events, load
from leanformer.report.lineup import Lineup, lineup
from leanformer.report.promise import promise_lines
from leanformer.report.tiles import tiles
from leanformer.report.verdict import sentence, shown

_MOST_DISAGREEMENTS = 300
_BEST = {
    "throughput": "fastest",
    "latency": "one with the lowest latency",
    "size": "smallest",
    "memory": "one that needs the least memory",
}
"""What is chosen, by the goal of a search."""


def write_report(record: Path, out: Path | None = None) -> Path:
    """Draw the record as one self-contained HTML page.

    Args:
        record: `record.jsonl`, or the folder that holds it.
        out: The file to write; `report.html` beside the record when absent.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: There is no such record.
        ValueError: The record is empty, damaged before its end, or has no `run` event.
    """
    events = load(record)
    path = out if out is not None else events.path.with_name("report.html")
    write_text(path, render("page.html.jinja", **content(events)))
    return path


def render(template: str, *, specs: dict[str, Any], **values: Any) -> str:
    """A template with the page's styles, script, plotly.js and the chart specifications inside."""
    loader = PackageLoader("leanformer.report", ".")
    environment = Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    environment.filters["unbroken"] = _unbroken

    def part(name: str) -> Markup:
        return Markup(loader.get_source(environment, name)[0])

    return environment.get_template(template).render(
        css=part("page.css"),
        js=part("page.js"),
        plotly=Markup(get_plotlyjs()) if specs else "",
        specs=_script_json(specs),
        **values,
    )


def content(events: Events) -> dict[str, Any]:
    """What the template shows: sections of tables and the specifications of the charts."""
    field = lineup(events)
    goal = str(events.run.get("goal") or "throughput")
    specs, controls = _front(field, goal)
    steps = _steps(events, field, specs)
    slices = _slices(events, specs)
    curves = _curves(events, field, specs)
    return {
        "specs": specs,
        "run": events.run,
        "task": events.run.get("task") or {},
        "data": events.run.get("data") or {},
        "environment": events.run.get("environment") or {},
        "notes": events.notes,
        "sentence": sentence(events),
        "promises": promise_lines(events),
        "tiles": tiles(events),
        "controls": controls,
        "price": CORE_HOUR,
        "best": _BEST.get(goal, f"best for {goal}"),
        "systems": tables.systems(field) if field.systems else None,
        "field": field,
        "steps": steps,
        "slices": slices,
        "disagreements": evidence.disagreements(events.disagreements[:_MOST_DISAGREEMENTS]),
        "disagreements_total": len(events.disagreements),
        "thresholds": [evidence.thresholds(gate) for gate in field.gates],
        "decisions": tables.decisions(events, field) if events.choices else None,
        "curves": curves,
        "race": tables.race(events.backends) if events.backends else None,
        "plan": plan.plan_tables(events.plan) if events.plan else None,
        "plan_notes": [plan.printable(note) for note in (events.plan or {}).get("notes", ())],
    }


def _front(field: Lineup, goal: str) -> tuple[dict[str, Any], dict[str, list[tuple[str, str]]]]:
    """The specification for each axis and split, and the buttons that choose among them; what the
    search was for comes first."""
    axes = [name for name, axis in AXES.items() if axis.goal in ("", goal)]
    first = "cost" if goal == "throughput" else goal
    axes.sort(key=lambda name: not name.startswith(first))
    specs: dict[str, Any] = {}
    for split in field.splits or ["dev"]:
        for axis in axes:
            spec = front(field, axis, split)
            if spec is not None:
                specs[f"front/{axis}/{split}"] = spec
    shown = [(key, AXES[key].button) for key in axes if any(f"/{key}/" in s for s in specs)]
    names = {"dev": "Development", "test": "Test"}
    splits = [(key, name) for key, name in names.items() if any(s.endswith(key) for s in specs)]
    return specs, {"axes": shown, "splits": splits}


def _steps(events: Events, field: Lineup, specs: dict[str, Any]) -> list[dict[str, Any]]:
    """The proofs of each model and its losses by layer; the model that the page is about first."""
    by_model = evidence.by_model(events.steps)
    losses = {event["model"]: event["rows"] for event in events.losses}
    shares = {event["model"]: event for event in events.sparsities}
    metric = str(events.run.get("metric") or "quality on dev")
    names = list(dict.fromkeys([*by_model, *losses]))
    system = shown(field)
    first = system.name.split(" ·")[0] if system else None
    names.sort(key=lambda name: name.split(" ·")[0] != first)
    sections = []
    for index, name in enumerate(names):
        chart = f"losses/{index}" if losses.get(name) else None
        if chart:
            specs[chart] = charts.losses(losses[name])
        drawn = charts.ranges(losses.get(name) or [])
        wide = f"ranges/{index}" if drawn else None
        if wide:
            specs[wide] = drawn
        sparse = f"kept/{index}" if shares.get(name) else None
        if sparse:
            specs[sparse] = sparsity.kept(shares[name]["rows"])
        heads = f"heads/{index}" if sparse and shares[name].get("heads") else None
        if heads:
            specs[heads] = sparsity.kept_heads(shares[name]["heads"])
        drawn_lots = [event for event in events.tickets if event["model"] == name]
        tickets = f"tickets/{index}" if len(drawn_lots) > 1 else None
        if tickets:
            specs[tickets] = sparsity.tickets(drawn_lots, metric)
        proofs = [proof for step in by_model.get(name, []) for proof in step.get("proofs") or []]
        failed = sum(1 for proof in proofs if proof.get("ok") is False)
        table = evidence.proofs(by_model[name]) if name in by_model else None
        sections.append(
            {
                "name": name,
                "table": table,
                "chart": chart,
                "ranges": wide,
                "kept": sparse,
                "heads": heads,
                "tickets": tickets,
                "proved": sum(1 for proof in proofs if proof.get("ok")),
                "failed": failed,
                "open": index == 0 or failed > 0,
            }
        )
    return sections


def _slices(events: Events, specs: dict[str, Any]) -> list[dict[str, Any]]:
    """A chart and a table a slicing; classes with the largest loss first, lengths in order."""
    sections = []
    for index, event in enumerate(event for event in events.slices if event["rows"]):
        metric = str(event.get("metric") or "quality")
        rows = event["rows"]
        if event["by"] == "class":
            rows = sorted(
                rows, key=lambda row: (row.get("student") or 0) - (row.get("teacher") or 0)
            )
        key = f"slices/{index}"
        specs[key] = charts.slices(rows, metric)
        sections.append(
            {
                "by": event["by"],
                "chart": key,
                "count": len(rows),
                "drawn": min(len(rows), charts.MOST_ROWS),
                "table": evidence.slices({**event, "rows": rows}),
            }
        )
    return sections


def _curves(events: Events, field: Lineup, specs: dict[str, Any]) -> list[dict[str, str]]:
    metric = field.teacher.metric if field.teacher else "quality"
    curves = []
    for value, title in (("loss", "training loss"), ("dev", metric)):
        spec = charts.training(events.training, value, title)
        if spec is not None:
            specs[f"training/{value}"] = spec
            curves.append(
                {
                    "chart": f"training/{value}",
                    "title": title if value == "loss" else f"{title} on the development split",
                }
            )
    return curves


def _unbroken(text: str) -> str:
    """A number and its unit kept on one line."""
    return re.sub(r"(?<=\d) (?=(?:%|s|ms|µs|min|h|MB|GB|kB)(?!\w))", "\u00a0", text)


def _script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=asdict)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
