"""A record in Markdown, for `docs/results` and for a pull request: the page's tables as text."""

from pathlib import Path

from leanformer.report import evidence, tables
from leanformer.report.events import load
from leanformer.report.lineup import lineup
from leanformer.report.promise import promise_lines
from leanformer.report.tables import Cell, Table
from leanformer.report.verdict import sentence, shown


def markdown(record: Path) -> str:
    """The verdict, the tables and the command of a record, in Markdown.

    Raises:
        FileNotFoundError: There is no such record.
        ValueError: The record is empty, damaged before its end, or has no `run` event.
    """
    events = load(record)
    field = lineup(events)
    parts = [f"**{sentence(events)}**", *map(_escaped, promise_lines(events))]
    parts += [f"> {_escaped(note)}" for note in events.notes]
    if events.run.get("command"):
        parts.append(f"```bash\n{events.run['command']}\n```")
    if field.systems:
        parts += ["## Systems", _table(tables.systems(field))]
    system = shown(field)
    for name, steps in evidence.by_model(events.steps).items():
        if system is not None and name == system.name.split(" ·")[0]:
            parts += [f"## Proofs of {_escaped(name)}", _table(evidence.proofs(steps))]
    if events.choices:
        parts += ["## The search", _table(tables.decisions(events, field))]
    if field.gates:
        parts += ["## Thresholds", *(_table(evidence.thresholds(gate)) for gate in field.gates)]
    if events.backends:
        parts += ["## Backends", _table(tables.race(events.backends))]
    environment = events.run.get("environment") or {}
    if environment:
        facts = (f"{name.replace('_', ' ')} {value}" for name, value in environment.items())
        parts += ["## Environment", _escaped(", ".join(facts))]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    heads = [f"{c.name} ({c.unit})" if c.unit else c.name for c in table.columns]
    rules = ["--:" if column.numeric else "---" for column in table.columns]
    lines = [heads, rules, *([_text(cell) for cell in row.cells] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(cell: Cell) -> str:
    return _escaped(f"{cell.text} ({cell.below})" if cell.below else cell.text)


def _escaped(text: str) -> str:
    """`text` on one line, without what would end a cell or begin HTML."""
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(text.split())
