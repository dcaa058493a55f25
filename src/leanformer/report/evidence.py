"""What shows that a result is real: proofs of each step, quality by slice, disagreements."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from leanformer.report.events import Event
from leanformer.report.tables import Cell, Column, Row, Table
from leanformer.report.units import ABSENT, amount, at_least, percent, score, significant


def proofs(steps: Sequence[Event]) -> Table:
    """What the steps of one model claimed, found before and after, and whether it held."""
    names = ("Step", "Claim", "Before", "After", "Change", "Asked", "Proved")
    numeric = ("Before", "After", "Change", "Asked")
    rows = []
    for step in steps:
        for index, proof in enumerate(step.get("proofs") or [{}]):
            rows.append(Row(cells=_proof(str(step["step"]) if index == 0 else "", proof)))
    return Table(
        caption="What each step claimed, and what was found before and after it.",
        columns=[Column(name=name, numeric=name in numeric) for name in names],
        rows=rows,
    )


def slices(event: Event) -> Table:
    """Teacher and student on each slice, with the gap in points."""
    metric = str(event.get("metric") or "quality")
    by = str(event["by"])
    rows = []
    for row in event["rows"]:
        teacher, student = row.get("teacher"), row.get("student")
        gap = student - teacher if teacher is not None and student is not None else None
        rows.append(
            Row(
                cells=[
                    Cell(text=str(row.get("name")), sort=str(row.get("name"))),
                    Cell(text=amount(row.get("count")), sort=row.get("count")),
                    *(
                        Cell(text=ABSENT if v is None else score(v, metric), sort=v)
                        for v in (teacher, student)
                    ),
                    Cell(text=_gap(gap, metric), sort=gap, mark=_mark(gap)),
                ]
            )
        )
    columns = [Column(name=by.capitalize(), numeric=False), Column(name="Examples")]
    columns += [Column(name=name) for name in ("Teacher", "Student", "Gap")]
    caption = f"{metric.capitalize()} by {by}, {event.get('split') or 'dev'} split."
    return Table(caption=caption, columns=columns, rows=rows)


def thresholds(gate: Event) -> Table:
    """What dev says of a cascade at each of its thresholds, from the fewest texts passed on."""
    rows = []
    for row in sorted(gate["rows"], key=lambda row: row["rate"]):
        kept, lower, threshold = (row.get(key) for key in ("kept", "lower", "threshold"))
        proven = bool(row.get("proven"))
        rows.append(
            Row(
                cells=[
                    Cell(text=percent(row["rate"])),
                    Cell(text=ABSENT if threshold is None else significant(threshold)),
                    Cell(text=ABSENT if kept is None else percent(kept, 2)),
                    Cell(text=at_least(lower) if lower is not None and lower > 0 else ABSENT),
                    Cell(text="proven" if proven else "not proven", mark="good" if proven else ""),
                ],
                kind="chosen" if row["rate"] == gate.get("rate") else "",
            )
        )
    columns = [Column(name="Passed on", unit="dev"), Column(name="Threshold")]
    columns += [Column(name="Kept", unit="dev"), Column(name="At least", unit="dev")]
    return Table(
        caption=f"{gate['name']}: a text goes on to {gate['second']} where the "
        f"{gate.get('gate') or 'gate'} of {gate['first']} is below the threshold.",
        columns=[*columns, Column(name="Proof", numeric=False)],
        rows=rows,
    )


def disagreements(rows: Sequence[Event]) -> list[dict[str, str]]:
    """Texts on which teacher and student differ, with who is right: teacher, student or neither."""
    told = []
    for row in rows:
        told.append(
            {
                "text": str(row.get("text") or ""),
                "pair": str(row.get("pair") or ""),
                "label": _value(row.get("label")),
                "teacher": _value(row.get("teacher")),
                "student": _value(row.get("student")),
                "teacher_confidence": _confidence(row.get("teacher_confidence")),
                "student_confidence": _confidence(row.get("student_confidence")),
                "right": right(row.get("label"), row.get("teacher"), row.get("student")),
            }
        )
    return told


def right(label: Any, teacher: Any, student: Any) -> str:
    """Who is right: the one that names the label, or of two scores the nearer one."""
    if label is None:
        return "unknown"
    if isinstance(label, float) and not isinstance(teacher, str | None):
        near, far = abs(teacher - label), abs(student - label)
        return "neither" if near == far else "teacher" if near < far else "student"
    if teacher == label:
        return "teacher"
    return "student" if student == label else "neither"


def by_model(steps: Sequence[Event]) -> dict[str, list[Event]]:
    """The steps of each model, in the order of their first step."""
    order = list(dict.fromkeys(step["model"] for step in steps))
    ranked = sorted(steps, key=lambda step: order.index(step["model"]))
    return {name: list(group) for name, group in groupby(ranked, key=lambda step: step["model"])}


_OUTCOMES = {"True": ("proved", "good"), "False": ("no effect", "bad")}


def _proof(step: str, proof: Event) -> list[Cell]:
    unit = str(proof.get("unit") or "")
    before, after, ok = proof.get("before"), proof.get("after"), proof.get("ok")
    proved, mark = _OUTCOMES.get(str(ok), ("not claimed", ""))
    asked = proof.get("asked")
    asked_text = asked if isinstance(asked, str) else amount(asked, unit)
    return [
        Cell(text=step),
        Cell(
            text=str(proof.get("claim") or "nothing to prove"), below=str(proof.get("note") or "")
        ),
        Cell(text=amount(before, unit)),
        Cell(text=amount(after, unit)),
        Cell(text=_change(before, after)),
        Cell(text=asked_text),
        Cell(text=proved, mark=mark),
    ]


def _change(before: Any, after: Any) -> str:
    numbers = (int, float)
    if not isinstance(before, numbers) or not isinstance(after, numbers) or not before:
        return ABSENT
    change = 100 * (after / before - 1)
    return (
        "0 %"
        if abs(change) < 0.05
        else f"{change:+,.{1 if abs(change) < 10 else 0}f} %".replace("-", "−")
    )


def _gap(gap: float | None, metric: str) -> str:
    if gap is None:
        return ABSENT
    is_percent = score(0.5, metric).endswith("%")
    return (f"{100 * gap:+.1f}" if is_percent else f"{gap:+.3f}").replace("-", "−")


def _mark(gap: float | None) -> str:
    return "" if not gap else "good" if gap > 0 else "bad"


def _value(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return significant(value) if isinstance(value, float) else str(value)


def _confidence(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
