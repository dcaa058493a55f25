"""The tables of the page: rows of a record as text with units, ready to be laid out.

A `Table` knows no HTML: the page draws it, and `summary.py` writes the same one as Markdown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from leanformer.core.quantity import Quantity
from leanformer.report.costs import million
from leanformer.report.events import Event, Events
from leanformer.report.lineup import Lineup, System, named
from leanformer.report.units import ABSENT, column, duration, percent, score, significant


@dataclass(frozen=True, kw_only=True)
class Column:
    """A heading, the unit under it, and whether figures stand below."""

    name: str
    unit: str = ""
    numeric: bool = True


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A text, what it sorts by, and a smaller line below (a spread, a detail)."""

    text: str
    sort: float | str | None = None
    below: str = ""
    mark: str = ""
    """"good", "bad" or "" for how it is coloured."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The cells of one line, and what it is: "chosen", "teacher", "baseline", "candidate" or ""."""

    cells: list[Cell]
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and rows under a caption; columns in which nothing was measured are not there."""

    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)


def systems(lineup: Lineup) -> Table:
    """Every system with quality, speed, memory and size, and its ratios to the named baselines."""
    rows = lineup.systems
    name = [Cell(text=s.name, sort=s.name, below=_facts(s)) for s in rows]
    columns: list[tuple[Column, list[Cell]]] = [(Column(name="System", numeric=False), name)]
    for split in lineup.splits or ["dev"]:
        columns.append(
            (Column(name=_metric(lineup), unit=f"{split}, kept"), _quality(lineup, split))
        )
    for base, over in ((lineup.rival, lineup.over_rival), (lineup.eager, lineup.over_eager)):
        if base is not None:
            unit = base.name.split("·")[-1].strip()
            columns.append((Column(name="Speed-up", unit=f"× {unit}"), _ratios(rows, base, over)))
    costs = [million(lineup, s) for s in rows]
    columns.append((Column(name="A million texts", unit="on one thread"), _costs(costs)))
    columns.append(
        (Column(name="Passed on", unit="dev"), _passed([s.of("deferral") for s in rows]))
    )
    columns.append((Column(name="One by one", unit="ms, mean"), _one_by_one(rows)))
    for label, unit, key, scale in (
        ("Latency 32", "ms", "latency_32", 1e3),
        ("Latency 128", "ms", "latency_128", 1e3),
        ("Latency 32", "ms, one thread", "latency_32_one_thread", 1e3),
        ("Sorted", "texts/s", "throughput", 1),
        ("Sorted", "texts/s, one thread", "throughput_one_thread", 1),
        ("Unsorted", "texts/s", "throughput_unsorted", 1),
        ("Memory", "MB", "memory", 1e-6),
        ("Size", "MB", "size", 1e-6),
        ("Work", "MFLOP/token", "flops", 1e-6),
    ):
        columns.append((Column(name=label, unit=unit), _measured([s.of(key) for s in rows], scale)))
    present = [(c, cells) for c, cells in columns if any(cell.text != ABSENT for cell in cells)]
    return Table(
        caption="Every system that was measured. Small figures are quartiles."
        + (
            " Times are those from strings to answers, tokenization included."
            if any(s.of("throughput_one_thread") for s in rows)
            else ""
        ),
        columns=[c for c, _ in present],
        rows=[
            Row(cells=[cells[index] for _, cells in present], kind=_kind(lineup, system))
            for index, system in enumerate(rows)
        ],
    )


def decisions(events: Events, lineup: Lineup) -> Table:
    """The ladder: every student that was thought of, what became of it, and why."""
    rows = []
    for choice in events.choices:
        system = named(lineup.systems, choice["name"])
        kept = lineup.kept(system, "dev") if system else None
        rows.append(
            Row(
                cells=[
                    Cell(text=choice["name"], below=_facts(system) if system else ""),
                    Cell(text=ABSENT if kept is None else percent(kept)),
                    Cell(text=choice["decision"], mark=_DECISION.get(choice["decision"], "")),
                    Cell(text=str(choice.get("reason") or "")),
                ],
                kind="chosen" if choice["decision"] == "chosen" else "",
            )
        )
    columns = [
        Column(name="Student", numeric=False),
        Column(name="Kept", unit="dev"),
        Column(name="Decision", numeric=False),
        Column(name="Reason", numeric=False),
    ]
    return Table(
        caption="The ladder, in the order in which it was climbed.", columns=columns, rows=rows
    )


def race(rows: Sequence[Event]) -> Table:
    """The backends that ran against each other on this machine, and why some did not."""
    speeds = column([row.get("throughput") for row in rows])
    latencies = column([_times(row.get("latency"), 1e3) for row in rows])
    agreements = [row.get("agreement") for row in rows]
    table = [
        Row(
            cells=[
                Cell(text=f"{row.get('backend')} {row.get('precision') or ''}".strip()),
                Cell(text=speed, sort=row.get("throughput")),
                Cell(text=latency, sort=row.get("latency")),
                Cell(text=ABSENT if agreement is None else percent(agreement, 2), sort=agreement),
                Cell(text=_outcome(row), mark="good" if row.get("chosen") else ""),
                Cell(text=str(row.get("reason") or "")),
            ],
            kind="chosen" if row.get("chosen") else "",
        )
        for row, speed, latency, agreement in zip(rows, speeds, latencies, agreements, strict=True)
    ]
    columns = [
        Column(name="Backend", numeric=False),
        Column(name="Throughput", unit="texts/s"),
        Column(name="Latency", unit="ms"),
        Column(name="Agreement", unit="with PyTorch"),
        Column(name="Outcome", numeric=False),
        Column(name="Reason", numeric=False),
    ]
    return Table(caption="The race on this machine.", columns=columns, rows=table)


_DECISION = {"chosen": "good", "kept": "good", "rejected": "bad"}


def _facts(system: System) -> str:
    """Shape, backend and precision in one line: "3 layers, 6 heads, FFN 768 · openvino int8"."""
    shape = system.shape
    parts = []
    if shape.get("layers"):
        parts.append(f"{shape['layers']} layer{'s' if shape['layers'] > 1 else ''}")
    for key, text in (("heads", "{} heads"), ("ffn", "FFN {}")):
        if shape.get(key):
            parts.append(text.format(_each(shape[key])))
    if shape.get("vocabulary"):
        parts.append(f"{shape['vocabulary']:,} tokens")
    fit = system.of("fit")
    fitted = f"fitted in {significant(fit.value, 2)} s" if fit else ""
    runs = f"{system.backend} {system.precision}".strip()
    return " · ".join(part for part in (", ".join(parts), runs, fitted) if part)


def _each(values: Any) -> str:
    """One number where all layers are alike, else the span: "6", "3–6"."""
    values = values if isinstance(values, list) else [values]
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)}–{max(values)}"


def _metric(lineup: Lineup) -> str:
    metric = lineup.teacher.metric if lineup.teacher else "quality"
    return metric[:1].upper() + metric[1:]


def _quality(lineup: Lineup, split: str) -> list[Cell]:
    """The quality, below it the share of the teacher's, marked by whether it was enough."""
    cells = []
    for system in lineup.systems:
        value, kept = system.quality.get(split), lineup.kept(system, split)
        judged = kept is not None and lineup.keep is not None and system.role == "candidate"
        mark = ("good" if lineup.enough(kept or 0) else "bad") if judged else ""
        text = ABSENT if value is None else score(value, system.metric)
        below = "" if kept is None else percent(kept)
        cells.append(Cell(text=text, sort=value, below=below, mark=mark))
    return cells


def _measured(quantities: list[Quantity | None], scale: float) -> list[Cell]:
    values = [_times(quantity.value if quantity else None, scale) for quantity in quantities]
    texts = column(values)
    cells = []
    for text, value, quantity in zip(texts, values, quantities, strict=True):
        cells.append(Cell(text=text, sort=value, below=_spread(quantity, scale, text)))
    return cells


def _costs(quantities: list[Quantity | None]) -> list[Cell]:
    return [
        Cell(text=ABSENT) if q is None else Cell(text=duration(q.value), sort=q.value)
        for q in quantities
    ]


def _passed(quantities: list[Quantity | None]) -> list[Cell]:
    return [
        Cell(text=ABSENT) if q is None else Cell(text=percent(q.value), sort=q.value)
        for q in quantities
    ]


def _one_by_one(rows: list[System]) -> list[Cell]:
    """The mean latency over real texts, below it the median and the worst."""
    cells = _measured([s.of("latency_mean") for s in rows], 1e3)
    made = []
    for system, cell in zip(rows, cells, strict=True):
        others = [(name, system.of(f"latency_{name}")) for name in ("median", "worst")]
        told = [f"{name} {significant(1e3 * q.value, 2)}" for name, q in others if q is not None]
        made.append(Cell(text=cell.text, sort=cell.sort, below=", ".join(told)))
    return made


def _spread(quantity: Quantity | None, scale: float, like: str) -> str:
    """The quartiles with as many decimals as the median, nothing where they print alike."""
    if quantity is None or quantity.low is None or quantity.high is None:
        return ""
    decimals = len(like.partition(".")[2])
    low, high = (f"{scale * bound:,.{decimals}f}" for bound in (quantity.low, quantity.high))
    return f"{low}–{high}" if low != high else ""


def _ratios(
    rows: list[System], base: System, over: Callable[[System], Quantity | None]
) -> list[Cell]:
    cells = []
    for system in rows:
        quantity = Quantity(1.0, "x") if system is base else over(system)
        if quantity is None:
            cells.append(Cell(text=ABSENT))
            continue
        text = f"{quantity.value:,.2f}"
        cells.append(Cell(text=text, sort=quantity.value, below=_spread(quantity, 1, text)))
    return cells


def _kind(lineup: Lineup, system: System) -> str:
    return "chosen" if system is lineup.exported else system.role


def _outcome(row: Event) -> str:
    if row.get("chosen"):
        return "chosen"
    return "skipped" if row.get("throughput") is None and row.get("latency") is None else "ran"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
