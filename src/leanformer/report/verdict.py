"""The verdict in one sentence, made from what was measured and never rounder than it.

    {student} run {r}× faster than {rival} ({e}× {eager}) and keep {k} % of its {metric},
    in a file {s}× smaller.

Where n-grams were chosen, the sentence says that no transformer is needed; of a cascade it says how
many texts each part answers. Where the bar was not met, the sentence says so first.
"""

from leanformer.report.events import Events
from leanformer.report.lineup import Lineup, System, lineup, named
from leanformer.report.units import percent, share, times


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
    split = split_of(field, system)
    kept = field.kept(system, split)
    subject, plural = _subject(events, field, system, kept)
    run, keep = ("run", "keep") if plural else ("runs", "keeps")
    parts = [f"{run} {speed}" for speed in [_speed(field, system)] if speed]
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
    chosen = "they were chosen by their" if plural else "it was chosen by its"
    return f"{text}." if goal == "throughput" else f"{text}; {chosen} {goal}."


def _subject(events: Events, field: Lineup, system: System, kept: float | None) -> tuple[str, bool]:
    """What the sentence is about, and whether it is more than one."""
    if system.system == "cascade":
        return _cascade(field, system), False
    if system.system == "hashed-ngrams":
        return f"{_needless(events, field, kept)}{system.name}", True
    return in_words(system), (system.shape.get("layers") or 0) > 1


def _needless(events: Events, field: Lineup, kept: float | None) -> str:
    """Whether n-grams do without a transformer, as far as the verdict goes."""
    outcome = (events.verdict or {}).get("outcome")
    enough = kept is not None and field.enough(kept)
    if outcome == "kept" or (outcome is None and enough):
        return "No transformer is needed: "
    return "Perhaps no transformer is needed: " if outcome == "unproven" and enough else ""


def _cascade(field: Lineup, system: System) -> str:
    gate, passed = field.gate(system), system.of("deferral")
    share_on = passed.value if passed else (gate or {}).get("rate")
    if gate is None or share_on is None:
        return f"The cascade {system.name}"
    first, second = (named(field.systems, gate[which]) for which in ("first", "second"))
    parts = [
        gate[which] if part is None else label(part)
        for which, part in (("first", first), ("second", second))
    ]
    return (
        f"A cascade answers {percent(1 - share_on)} of the texts by {parts[0]} and passes "
        f"{percent(share_on)} on to {parts[1]}; it"
    )


def _short(field: Lineup, kept: float) -> str:
    return "" if field.enough(kept) else f", short of the {share(field.keep or 0)} asked"


def _speed(field: Lineup, system: System) -> str:
    over_rival, over_eager = field.over_rival(system), field.over_eager(system)
    if over_rival is not None and field.rival is not None:
        text = f"{_factor(over_rival.value, 'faster', 'slower')} than {label(field.rival)}"
        return f"{text} ({times(over_eager.value)} {eager_label(field)})" if over_eager else text
    if over_eager is not None:
        factor = _factor(over_eager.value, "faster", "slower")
        return f"{factor} than {eager_label(field)} of the teacher"
    return ""


def _factor(value: float, more: str, less: str) -> str:
    return f"{times(value)} {more}" if value >= 1 else f"{times(1 / value)} {less}"


def tried(field: Lineup) -> str:
    """What a search found: "student", and "cascade" where there were some."""
    cascades = any(system.system == "cascade" for system in field.candidates)
    return "student or cascade" if cascades else "student"


def label(system: System) -> str:
    """A baseline in a sentence: "OpenVINO int8 of the teacher"."""
    if system.name.lower().startswith("teacher ·"):
        return f"{system.name.split('·', 1)[1].strip()} of the teacher"
    return system.name


def eager_label(field: Lineup) -> str:
    """The eager baseline in a sentence: "PyTorch fp32"."""
    return label(field.eager).removesuffix(" of the teacher") if field.eager else ""


def _nothing_chosen(events: Events, field: Lineup) -> str:
    asked = f"{share(field.keep)} of" if field.keep is not None else "enough of"
    best = shown(field)
    kept = field.kept(best, "dev") if best else None
    metric = field.teacher.metric if field.teacher else "quality"
    text = f"No {tried(field)} kept {asked} the teacher's {metric}"
    if best is None or kept is None:
        return f"{text}."
    speed = _speed(field, best)
    ran = f" and ran {speed}" if speed else ""
    return f"{text}; the best, {best.name}, kept {percent(kept)}{ran}."


def _baseline_chosen(field: Lineup, system: System) -> str:
    """No student won: the sentence says so before it praises what did."""
    asked = share(field.keep) if field.keep is not None else "enough"
    text = (
        f"No {tried(field)} both kept {asked} and beat {label(system)}, which is therefore chosen"
    )
    served = field.exported or system
    if served is not system:
        text += f" and exported as {label(served).removesuffix(' of the teacher')}"
    kept = field.kept(served, split_of(field, served))
    return f"{text}; it keeps {percent(kept)}." if kept is not None else f"{text}."


def _unfinished(field: Lineup) -> str:
    count = len(field.candidates)
    what = {"student": "students"}.get(tried(field), "students and cascades")
    text = f"The run has not finished: {count} {what if count > 1 else what[:-1]} measured so far"
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
