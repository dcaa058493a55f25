"""The verdict in one sentence, made from what was measured and never rounder than it.

    {student} run {r}× faster than {rival} ({e}× {eager}) and keep {k} % of its {metric},
    in a file {s}× smaller.

Where the bar was not met, the sentence says so first.
"""

from dataclasses import dataclass

from leanformer.core.quantity import Quantity
from leanformer.report.events import Events
from leanformer.report.lineup import Lineup, System, lineup, ratio
from leanformer.report.units import amount, percent, score, share, significant, times


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One big number: the figure, what it is, and the detail that keeps it honest."""

    figure: str
    label: str
    detail: str = ""
    met: bool | None = None
    """Whether a bar was met; None where none was set."""


def sentence(events: Events) -> str:
    """The verdict in one sentence; it names every baseline that it compares with."""
    field = lineup(events)
    if not field.candidates:
        return _without_candidates(events, field)
    if events.verdict is None:
        return _unfinished(field)
    if field.chosen is None:
        return _nothing_chosen(events, field)
    if field.chosen.role != "candidate":
        return _baseline_chosen(field, field.chosen)
    assert field.exported is not None
    return _chosen(events, field, field.exported)


def tiles(events: Events) -> list[Tile]:
    """Up to five big numbers about the chosen student, or the best one where none was chosen."""
    field = lineup(events)
    system = shown(field)
    if system is None:
        return []
    unproven = unproven_by_test(events, field) is not None
    made = [_rival_tile(field, system), _eager_tile(field, system)]
    made += [_kept_tile(field, system, unproven=unproven)]
    made += [_size_tile(field, system), _latency_tile(field, system)]
    return [tile for tile in made if tile is not None]


def shown(field: Lineup) -> System | None:
    """The system that the page speaks about: the chosen one as it is exported, else the best
    candidate."""
    if field.exported is not None:
        return field.exported
    scored = [s for s in field.candidates if field.kept(s, "dev") is not None]
    return max(scored, key=lambda s: field.kept(s, "dev") or 0, default=None)


def split_of(field: Lineup, system: System) -> str:
    """The split to speak about: test where teacher and system have it, else dev."""
    return "test" if field.kept(system, "test") is not None else "dev"


def in_words(system: System) -> str:
    """What a system is: "3 layers in int8", or its name where the shape is not recorded."""
    layers = system.shape.get("layers")
    if not layers:
        return system.name
    precision = f" in {system.precision}" if system.precision else ""
    return f"{layers} layer{'s' if layers > 1 else ''}{precision}"


def unproven_by_test(events: Events, field: Lineup) -> float | None:
    """The share that the test split measured where it is less than asked, although the promise is
    kept: a difference that the split is too small to prove. None elsewhere."""
    system = shown(field)
    kept = field.kept(system, "test") if system is not None else None
    promised = (events.verdict or {}).get("outcome") == "kept"
    return kept if kept is not None and promised and not field.enough(kept) else None


def _chosen(events: Events, field: Lineup, system: System) -> str:
    plural = (system.shape.get("layers") or 0) > 1
    run, keep = ("run", "keep") if plural else ("runs", "keeps")
    subject = in_words(system)
    parts = [f"{run} {speed}" for speed in [_speed(field, system)] if speed]
    split = split_of(field, system)
    kept = field.kept(system, split)
    if kept is not None:
        whose = "its" if parts else "the teacher's"
        unproven = unproven_by_test(events, field) is not None
        short = " on the test split" if unproven else _short(field, kept)
        parts.append(f"{keep} {percent(kept)} of {whose} {system.metric}{short}")
    text = (
        f"{subject} {' and '.join(parts)}"
        if parts
        else f"{subject} {'were' if plural else 'was'} chosen"
    )
    smaller = field.smaller(system)
    if smaller is not None:
        text += f", in a file {_factor(smaller.value, 'smaller', 'larger')}"
    goal = events.run.get("goal") or "throughput"
    return f"{text}." if goal == "throughput" else f"{text}; it was chosen by its {goal}."


def _short(field: Lineup, kept: float) -> str:
    return "" if field.enough(kept) else f", short of the {share(field.keep or 0)} asked"


def _speed(field: Lineup, system: System) -> str:
    over_rival, over_eager = field.over_rival(system), field.over_eager(system)
    if over_rival is not None and field.rival is not None:
        text = f"{_factor(over_rival.value, 'faster', 'slower')} than {_label(field.rival)}"
        return f"{text} ({times(over_eager.value)} {_eager(field)})" if over_eager else text
    if over_eager is not None:
        return (
            f"{_factor(over_eager.value, 'faster', 'slower')} than {_eager(field)} of the teacher"
        )
    return ""


def _factor(value: float, more: str, less: str) -> str:
    return f"{times(value)} {more}" if value >= 1 else f"{times(1 / value)} {less}"


def _label(system: System) -> str:
    """A baseline in a sentence: "OpenVINO int8 of the teacher"."""
    if system.name.lower().startswith("teacher ·"):
        return f"{system.name.split('·', 1)[1].strip()} of the teacher"
    return system.name


def _eager(field: Lineup) -> str:
    return _label(field.eager).removesuffix(" of the teacher") if field.eager else ""


def _nothing_chosen(events: Events, field: Lineup) -> str:
    asked = f"{share(field.keep)} of" if field.keep is not None else "enough of"
    best = shown(field)
    kept = field.kept(best, "dev") if best else None
    metric = field.teacher.metric if field.teacher else "quality"
    text = f"No student kept {asked} the teacher's {metric}"
    if best is None or kept is None:
        return f"{text}."
    speed = _speed(field, best)
    ran = f" and ran {speed}" if speed else ""
    return f"{text}; the best, {best.name}, kept {percent(kept)}{ran}."


def _baseline_chosen(field: Lineup, system: System) -> str:
    """No student won: the sentence says so before it praises what did."""
    asked = share(field.keep) if field.keep is not None else "enough"
    text = f"No student both kept {asked} and beat {_label(system)}, which is therefore chosen"
    served = field.exported or system
    if served is not system:
        text += f" and exported as {_label(served).removesuffix(' of the teacher')}"
    kept = field.kept(served, split_of(field, served))
    return f"{text}; it keeps {percent(kept)}." if kept is not None else f"{text}."


def _unfinished(field: Lineup) -> str:
    count = len(field.candidates)
    text = f"The run has not finished: {count} student{'s' if count > 1 else ''} measured so far"
    best = shown(field)
    kept = field.kept(best, "dev") if best else None
    return f"{text}, the best keeps {percent(kept)} ({best.name})." if best and kept else f"{text}."


def _without_candidates(events: Events, field: Lineup) -> str:
    said = (events.verdict or {}).get("sentence")
    if said:
        return str(said)
    return (
        "No student has been measured yet." if field.systems else "Nothing has been measured yet."
    )


def _rival_tile(field: Lineup, system: System) -> Tile | None:
    over = field.over_rival(system)
    if over is None or field.rival is None:
        return None
    return Tile(
        figure=times(over.value),
        label=f"the throughput of {_label(field.rival)}",
        detail=_join(_spread(over), "length-sorted batches, both"),
    )


def _eager_tile(field: Lineup, system: System) -> Tile | None:
    over = field.over_eager(system)
    if over is None:
        return None
    return Tile(
        figure=times(over.value),
        label=f"the throughput of {_eager(field)}",
        detail=_join(_spread(over), "the teacher as its users run it, unsorted"),
    )


def _kept_tile(field: Lineup, system: System, *, unproven: bool) -> Tile | None:
    split = split_of(field, system)
    kept = field.kept(system, split)
    if kept is None or field.teacher is None:
        return None
    own, teachers = system.quality[split], field.teacher.quality[split]
    detail = f"{score(own, system.metric)} against {score(teachers, system.metric)}"
    asked = f"{share(field.keep)} asked" if field.keep is not None else ""
    return Tile(
        figure=percent(kept),
        label=f"of the teacher's {system.metric} on {split}",
        detail=_join(detail, asked, "less, but too few texts to prove it" if unproven else ""),
        met=None if field.keep is None or unproven else field.enough(kept),
    )


def _size_tile(field: Lineup, system: System) -> Tile | None:
    over, size = field.smaller(system), system.of("size")
    base = (field.eager or field.teacher or system).of("size")
    if over is None or size is None or base is None:
        return None
    sizes = f"{amount(size.value, 'bytes')} instead of {amount(base.value, 'bytes')}"
    figure = times(over.value if over.value >= 1 else 1 / over.value)
    return Tile(
        figure=figure, label=f"{'smaller' if over.value >= 1 else 'larger'} on disk", detail=sizes
    )


def _latency_tile(field: Lineup, system: System) -> Tile | None:
    latency = system.of("latency_32")
    if latency is None:
        return None
    below = ratio(field.rival.of("latency_32"), latency) if field.rival else None
    detail = f"{times(below.value)} below {_label(field.rival)}" if below and field.rival else ""
    return Tile(
        figure=f"{significant(1000 * latency.value, 2)} ms",
        label="a text of 32 tokens, batch 1",
        detail=detail,
    )


def _spread(over: Quantity) -> str:
    if over.low is None or over.high is None:
        return ""
    return f"{times(over.low).rstrip('×')}–{times(over.high)}"


def _join(*parts: str) -> str:
    return " · ".join(part for part in parts if part)
