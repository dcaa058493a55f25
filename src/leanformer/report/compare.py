"""Two records side by side: what each run found, and how much of the second the first is.

Only quality and sizes can be compared across machines; a note says where the machines differ.
"""

from collections.abc import Callable
from pathlib import Path

from leanformer.core.quantity import Quantity
from leanformer.core.storage.files import write_text
from leanformer.report.costs import million
from leanformer.report.events import Events, load
from leanformer.report.lineup import Lineup, System, lineup, named
from leanformer.report.page import render
from leanformer.report.tables import Cell, Column, Row, Table
from leanformer.report.units import ABSENT, amount, duration, percent, score, share, times
from leanformer.report.verdict import sentence, shown

_QUANTITIES = {
    "latency_32": ("Latency, 32 tokens", "s"),
    "latency_128": ("Latency, 128 tokens", "s"),
    "latency_mean": ("Latency over your texts, mean", "s"),
    "latency_median": ("Latency over your texts, median", "s"),
    "latency_worst": ("Latency over your texts, worst", "s"),
    "deferral": ("Passed on, dev", "share"),
    "throughput": ("Throughput, sorted", "texts/s"),
    "throughput_unsorted": ("Throughput, unsorted", "texts/s"),
    "memory": ("Memory", "bytes"),
    "size": ("Size on disk", "bytes"),
    "flops": ("Work", "FLOP/token"),
}
_MACHINE = ("cpu", "cores", "threads")


def compare(a: Path, b: Path) -> str:
    """Two records as a plain text table for the terminal.

    Raises:
        FileNotFoundError: One of the records does not exist.
        ValueError: One of them is empty, damaged before its end, or has no `run` event.
    """
    first, second = load(a), load(b)
    parts = [f"A  {first.path}\n   {sentence(first)}", f"B  {second.path}\n   {sentence(second)}"]
    parts += [_plain(table) for table in comparison(first, second)]
    return "\n\n".join([*parts, *_warnings(first, second)]) + "\n"


def write_comparison(a: Path, b: Path, out: Path | None = None) -> Path:
    """Two records as one self-contained HTML page; `compare.html` beside B when `out` is absent.

    Raises:
        FileNotFoundError: One of the records does not exist.
        ValueError: One of them is empty, damaged before its end, or has no `run` event.
    """
    first, second = load(a), load(b)
    path = out if out is not None else second.path.with_name("compare.html")
    sides = [("A", first, sentence(first)), ("B", second, sentence(second))]
    tables, notes = comparison(first, second), _warnings(first, second)
    write_text(
        path, render("compare.html.jinja", specs={}, sides=sides, tables=tables, notes=notes)
    )
    return path


def comparison(a: Events, b: Events) -> list[Table]:
    """What the runs chose against each other, then the systems that both measured."""
    fields = lineup(a), lineup(b)
    best = shown(fields[0]), shown(fields[1])
    tables = [_settings(a, b)]
    if best[0] is not None and best[1] is not None:
        caption = f"What the runs found: {best[0].name} in A, {best[1].name} in B."
        tables.append(_versus(caption, fields, (best[0], best[1])))
    for system in fields[0].systems:
        other = named(fields[1].systems, system.name)
        # students of one name differ in their training, and are many
        alike = system.role != "candidate" or system.system != "transformer"
        if other is not None and alike and (system, other) != best:
            tables.append(_versus(f"{system.name}, measured in both.", fields, (system, other)))
    return tables


def _versus(caption: str, fields: tuple[Lineup, Lineup], pair: tuple[System, System]) -> Table:
    rows = []
    for split in ("dev", "test"):
        qualities = [system.quality.get(split) for system in pair]
        texts = [
            ABSENT if q is None else score(q, s.metric)
            for q, s in zip(qualities, pair, strict=True)
        ]
        rows.append(_row(f"{pair[1].metric.capitalize()}, {split}", texts, qualities))
        kept = [field.kept(system, split) for field, system in zip(fields, pair, strict=True)]
        shares = [ABSENT if k is None else percent(k) for k in kept]
        rows.append(_row(f"Kept, {split}", shares, kept))
    for key, (name, unit) in _QUANTITIES.items():
        found = [system.of(key) for system in pair]
        values = [quantity.value if quantity else None for quantity in found]
        rows.append(_row(name, [amount(value, unit) for value in values], values))
    costs = [million(field, system) for field, system in zip(fields, pair, strict=True)]
    seconds = [quantity.value if quantity else None for quantity in costs]
    spans = [ABSENT if value is None else duration(value) for value in seconds]
    rows.append(_row("A million texts, one thread", spans, seconds))
    over: dict[str, Callable[[Lineup, System], Quantity | None]] = {
        "Speed-up, int8 teacher": Lineup.over_rival,
        "Speed-up, PyTorch fp32": Lineup.over_eager,
    }
    for name, ratio in over.items():
        ratios = [ratio(field, system) for field, system in zip(fields, pair, strict=True)]
        speeds = [quantity.value if quantity else None for quantity in ratios]
        rows.append(_row(name, [ABSENT if v is None else times(v) for v in speeds], speeds))
    measured = [row for row in rows if any(cell.text != ABSENT for cell in row.cells[1:])]
    return Table(caption=caption, columns=_columns("B / A"), rows=measured)


def _settings(a: Events, b: Events) -> Table:
    rows = []
    for name in ("model", "keep", "goal", "minutes", "seed", "version"):
        pair = [events.run.get(name) for events in (a, b)]
        is_share = name == "keep"
        texts = [ABSENT if v is None else share(v) if is_share else str(v) for v in pair]
        if any(text != ABSENT for text in texts):
            same = "same" if pair[0] == pair[1] else "differs"
            rows.append(Row(cells=[Cell(text=name.capitalize()), *map(_cell, texts), _cell(same)]))
    return Table(caption="What was run.", columns=_columns("", numeric=False), rows=rows)


def _columns(last: str, numeric: bool = True) -> list[Column]:
    names = ("", "A", "B", last)
    return [Column(name=name, numeric=numeric and index > 0) for index, name in enumerate(names)]


def _row(name: str, texts: list[str], values: list[float | None]) -> Row:
    before, after = values
    ratio = times(after / before) if before and after is not None else ABSENT
    return Row(cells=[Cell(text=name), *map(_cell, texts), _cell(ratio)])


def _cell(text: str) -> Cell:
    return Cell(text=text)


def _warnings(a: Events, b: Events) -> list[str]:
    notes = [f"A: {note}" for note in a.notes] + [f"B: {note}" for note in b.notes]
    machines = [(events.run.get("environment") or {}) for events in (a, b)]
    if any(machines[0].get(key) != machines[1].get(key) for key in _MACHINE):
        notes.append("The machines differ: compare quality, size and work, but no times.")
    if a.run.get("model") != b.run.get("model"):
        notes.append("The models differ: what is kept is kept of different teachers.")
    return notes


def _plain(table: Table) -> str:
    lines = [[column.name for column in table.columns]]
    lines += [[cell.text for cell in row.cells] for row in table.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    numeric = [column.numeric for column in table.columns]

    def padded(line: list[str]) -> str:
        cells = zip(line, widths, numeric, strict=True)
        return "  ".join(t.rjust(w) if right else t.ljust(w) for t, w, right in cells).rstrip()

    return "\n".join([table.caption, padded(lines[0]), *(padded(line) for line in lines[1:])])
