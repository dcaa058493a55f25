"""The plan of a run, as lines for a terminal and as tables for the page.

Names of labels, columns and files are shown as they are, but for characters that do not print:
these are escaped, so that a label can neither move the cursor nor break a row.
"""

import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from leanformer.report.tables import Cell, Column, Row, Table
from leanformer.report.units import ABSENT, amount

_WIDTH = 80  # columns of a terminal
_NAME = 40  # columns for the name of a label
_ALL = 12  # labels that a terminal shows; of more, the commonest and the rarest
_ENDS = (8, 3)
_MOST = 300  # labels of the page
_COUNTS = ("rows", "repeated", "contradictory", "cut", "longest", "queries")


def plan_lines(plan: Mapping[str, Any]) -> list[str]:
    """A `plan` event as lines of at most 80 columns, but for names that cannot be broken."""
    facts = [(name, [printable(line) for line in lines]) for name, lines in plan["facts"]]
    widest = max((len(name) for name, _ in facts), default=0) + 2
    lines = ["Plan"]
    for name, said in facts:
        for number, line in enumerate(said):
            head = f"  {name if number == 0 else '':<{widest}}"
            lines += _wrapped(line, head, " " * len(head))
    lines += ["", *_columns(splits_table(plan))]
    if plan["labels"]:
        lines += ["", *_columns(labels_table(_ends(plan["labels"])))]
    told = [("! ", text) for text in plan["warnings"]] + [("- ", text) for text in plan["notes"]]
    for mark, text in told:
        lines += ["", *_wrapped(printable(text), f"  {mark}", "    ")]
    return [line.rstrip() for line in lines]


def plan_tables(plan: Mapping[str, Any]) -> dict[str, Table]:
    """The tables of a `plan` event by their heading."""
    tables = {"Facts": facts_table(plan), "Splits": splits_table(plan)}
    return tables | ({"Labels": labels_table(plan["labels"])} if plan["labels"] else {})


def facts_table(plan: Mapping[str, Any]) -> Table:
    """What will be done, a fact per row."""
    columns = [Column(name="What", numeric=False), Column(name="Plan", numeric=False)]
    rows = [
        Row(cells=[Cell(text=name), Cell(text=printable("; ".join(lines)))])
        for name, lines in plan["facts"]
    ]
    return Table(caption="What was to be done, said before it began.", columns=columns, rows=rows)


def splits_table(plan: Mapping[str, Any]) -> Table:
    """Counts per split; columns in which nothing is counted are not there."""
    rows = plan["splits"]
    shown = [name for name in _COUNTS if any(row.get(name) is not None for row in rows)]
    ranged = any(row.get("numbers") for row in rows)
    titles = {"cut": f"cut at {plan['max_length']}", "longest": "longest"}
    columns = [Column(name="split", numeric=False)]
    columns += [Column(name=titles.get(name, name)) for name in shown]
    columns += [Column(name="labels (mean)")] if ranged else []
    return Table(
        caption="Repeated: rows whose text an earlier row of the split has. Contradictory: texts "
        "with more than one label. Longest: tokens of the text with the most characters.",
        columns=columns,
        rows=[
            Row(
                cells=[
                    Cell(text=str(row["split"])),
                    *(_number(row.get(name)) for name in shown),
                    *([Cell(text=_range(row.get("numbers")))] if ranged else []),
                ]
            )
            for row in rows
        ],
    )


def labels_table(labels: Sequence[Mapping[str, Any]]) -> Table:
    """Counts per label and split; a label without a name stands for those left out."""
    splits = [name for name in labels[0] if name != "name"] if labels else []
    shown = labels[:_MOST]
    rest = f" The first {_MOST} of {len(labels)}." if len(labels) > _MOST else ""
    return Table(
        caption=f"Rows of each label, or words of each tag.{rest}",
        columns=[Column(name="label", numeric=False), *(Column(name=name) for name in splits)],
        rows=[
            Row(
                cells=[
                    Cell(text=_shortened(printable(str(row["name"])))),
                    *(_number(row.get(split)) for split in splits),
                ]
            )
            for row in shown
        ],
    )


def printable(text: str) -> str:
    """`text` with characters that do not print escaped: line ends, control and bidi marks."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _ends(labels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All labels where they are few; else the commonest and the rarest in train."""
    if len(labels) <= _ALL:
        return list(labels)
    ordered = sorted(labels, key=lambda row: -int(row.get("train") or 0))
    first, last = ordered[: _ENDS[0]], ordered[-_ENDS[1] :]
    left = dict.fromkeys(labels[0]) | {"name": f"… {len(labels) - sum(_ENDS)} more …"}
    return [*first, left, *last]


def _columns(table: Table) -> list[str]:
    """A table in columns of characters: names to the left, numbers to the right."""
    rows = [[column.name for column in table.columns]]
    rows += [[cell.text for cell in row.cells] for row in table.rows]
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            " " * (width - _width(text)) + text if place else text + " " * (width - _width(text))
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(cells))
    return lines


def _wrapped(text: str, first: str, next_: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=next_,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def _number(value: Any) -> Cell:
    return Cell(text=ABSENT if value is None else f"{value:,}", sort=value)


def _range(numbers: Sequence[float] | None) -> str:
    if not numbers:
        return ABSENT
    low, mean, high = (amount(number) for number in numbers)
    return f"{low} to {high} ({mean})"


def _shortened(text: str) -> str:
    """`text` in as many columns of a terminal as a label may have."""
    if _width(text) <= _NAME:
        return text
    while _width(text) > _NAME - 1:
        text = text[:-1]
    return f"{text}…"


def _width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(bool(unicodedata.combining(one)) for one in text)
