"""A record, read for people: the events by kind, with what was dropped said aloud.

A report must not be drawn from a damaged record without a word, so it tells four cases apart:

    cut short   the braces never close: a killed run's half line, left out with a note
    last line   anything that is not JSON: left out with a note
    elsewhere   anything that is not JSON: refused with its line number
    altered     a line that its checksum does not fit: refused with its line number

A resumed run may write an event twice; the later one counts, and a model's measures are merged.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanformer.core.record import cut_short, event_of

Event = dict[str, Any]

_REQUIRED = {
    "model": ("name", "role"),
    "step": ("model", "step"),
    "losses_by_layer": ("model", "rows"),
    "sparsity_by_layer": ("model", "rows"),
    "ticket": ("model", "way", "kept", "quality"),
    "choice": ("name", "decision"),
    "gate": ("name", "first", "second", "rows"),
    "slices": ("by", "rows"),
    "disagreements": ("rows",),
    "backends": ("rows",),
    "training": ("model", "loss"),
    "plan": ("facts", "splits", "labels", "max_length", "warnings", "notes"),
}


@dataclass(frozen=True, kw_only=True)
class Events:
    """What a record holds, by kind."""

    path: Path
    run: Event
    models: list[Event] = field(default_factory=list)
    steps: list[Event] = field(default_factory=list)
    losses: list[Event] = field(default_factory=list)
    sparsities: list[Event] = field(default_factory=list)
    tickets: list[Event] = field(default_factory=list)
    choices: list[Event] = field(default_factory=list)
    gates: list[Event] = field(default_factory=list)
    slices: list[Event] = field(default_factory=list)
    disagreements: list[Event] = field(default_factory=list)
    backends: list[Event] = field(default_factory=list)
    training: list[Event] = field(default_factory=list)
    verdict: Event | None = None
    plan: Event | None = None
    notes: list[str] = field(default_factory=list)
    """What a reader must know about the record itself: dropped lines, resumptions, no end."""


def load(path: Path) -> Events:
    """The events of the record at `path`, which may also be the folder that holds `record.jsonl`.

    Raises:
        FileNotFoundError: There is no such record.
        ValueError: The record is empty, damaged before its end, or has no `run` event.
    """
    path = path / "record.jsonl" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such record; `leanformer compress` writes one")
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise ValueError(f"{path} is empty; a record has one JSON event a line")
    notes: list[str] = []
    events: list[Event] = []
    for number, line in numbered:
        event = event_of(line, f"{path}:{number}")
        if event is not None:
            _check(event, f"{path}:{number}")
            events.append(event)
        elif number == numbered[-1][0] or cut_short(line):
            notes.append(f"Line {number} of the record was cut short by a killed run; left out.")
        else:
            raise ValueError(
                f"{path}:{number}: {line[:60]!r} is no event; remove the line or write the record "
                "again"
            )
    return _by_kind(path, events, notes)


def _by_kind(path: Path, events: list[Event], notes: list[str]) -> Events:
    def of(kind: str) -> list[Event]:
        return [event for event in events if event["event"] == kind]

    runs, verdicts, plans = of("run"), of("verdict"), of("plan")
    if not runs:
        raise ValueError(
            f"{path} has no `run` event, which says what was run; is this a record of leanformer?"
        )
    if len(runs) > 1:
        notes.append(f"The run was interrupted and resumed {_times(len(runs) - 1)}.")
    if not verdicts:
        notes.append("The run has not finished: what follows is what it had measured so far.")
    if plans:
        notes.extend(map(_sentence, plans[-1]["warnings"]))
    return Events(
        path=path,
        run=runs[-1],
        models=_merged(of("model")),
        steps=_latest(of("step"), "model", "step"),
        losses=_latest(of("losses_by_layer"), "model"),
        sparsities=_latest(of("sparsity_by_layer"), "model"),
        tickets=_latest(of("ticket"), "model", "way", "round"),
        choices=_latest(of("choice"), "name", "decision", "reason"),
        gates=_latest(of("gate"), "name"),
        slices=_latest(of("slices"), "split", "by"),
        disagreements=[row for event in of("disagreements")[-1:] for row in event["rows"]],
        backends=[row for event in of("backends")[-1:] for row in event["rows"]],
        training=_latest(of("training"), "model", "epoch", "step"),
        verdict=verdicts[-1] if verdicts else None,
        plan=plans[-1] if plans else None,
        notes=notes,
    )


def _check(event: Event, place: str) -> None:
    kind = event["event"]
    for name in _REQUIRED.get(kind, ()):
        if event.get(name) is None:
            raise ValueError(f"{place}: the event {kind!r} has no {name!r}, which the report needs")
    if "rows" in _REQUIRED.get(kind, ()) and not isinstance(event["rows"], list):
        raise ValueError(f"{place}: 'rows' of the event {kind!r} must be a list")


def _latest(events: list[Event], *keys: str) -> list[Event]:
    """The last event for each value of `keys`, in the order of first appearance."""
    found: dict[tuple[str, ...], Event] = {}
    for event in events:
        found[tuple(repr(event.get(key)) for key in keys)] = event
    return list(found.values())


def _merged(models: list[Event]) -> list[Event]:
    """One event a model: what was measured later is added to what was measured before."""
    found: dict[str, Event] = {}
    for model in models:
        before = found.get(model["name"], {})
        merged = {**before, **{key: value for key, value in model.items() if value is not None}}
        for part in ("quality", "quantities", "shape"):
            later = (model.get(part) or {}).items()
            measured = {key: value for key, value in later if value is not None}
            merged[part] = {**(before.get(part) or {}), **measured}
        found[model["name"]] = merged
    return list(found.values())


def _sentence(text: str) -> str:
    """A warning of the plan, begun with a capital."""
    return text[:1].upper() + text[1:]


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
