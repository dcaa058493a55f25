"""What may be said of the promise, line by line: in the terminal, on the page and in Markdown.

the promise        proven, not proven (and what would prove it), or not kept
the test split     where the teacher itself is worth nothing on it
better systems     by what the search is for, whose estimates hold without proof
the simplest rival what a user could have fitted in the time it takes to read this
the commonest class, where a classifier is not better than always answering it
"""

from typing import Any

from leanformer.report.events import Event, Events
from leanformer.report.lineup import Lineup, System, lineup, ratio
from leanformer.report.units import at_least, percent, score, share, significant, times
from leanformer.report.verdict import shown, split_of, unproven_by_test

_MARGIN = 1e-9
_BETTER = {"latency": "With a lower latency", "size": "Smaller", "memory": "With less memory"}


def promise_lines(events: Events) -> list[str]:
    """Sentences about a finished run's promise; none where its record says nothing of it."""
    verdict = events.verdict
    if verdict is None or verdict.get("outcome") is None:
        return []
    field = lineup(events)
    made = [
        _promise(verdict, field) + _less(events, field),
        _untested(field),
        _better(events, verdict, field),
    ]
    made += [_simplest(field), _majority(verdict), str(verdict.get("note") or "")]
    return [line for line in made if line]


def _promise(verdict: Event, field: Lineup) -> str:
    promise = verdict.get("promise")
    if promise is None:
        return "Not kept: no model was exported."
    asked, metric = share(promise["keep"]), f"of the teacher's {promise['metric']}"
    sure, texts = (
        f"{100 * promise['confidence']:g}% confidence",
        _counted(promise["examples"], promise),
    )
    if verdict["outcome"] == "kept":
        return (
            f"Kept: dev ({texts}) proves with {sure} that at least {at_least(promise['lower'])} "
            f"{metric} is kept; {asked} was asked."
        )
    if verdict.get("refuted"):
        return f"Not kept: the test split proves with {sure} that less than {asked} {metric} is."
    if not promise["holds"]:
        # None: the record's form of NaN
        kept = percent(promise["kept"], 2) if promise["kept"] is not None else "no share"
        return f"Not kept: as exported, {kept} {metric} on dev; {asked} was asked."
    return (
        f"Not proven: dev ({texts}) estimates that {percent(promise['kept'], 2)} {metric} is kept, "
        f"and proves {_bound(promise['lower'])} with {sure}; {asked} was asked. " + _needed(promise)
    )


def _less(events: Events, field: Lineup) -> str:
    """What a kept promise has to say of a test split that measured less."""
    kept = unproven_by_test(events, field)
    if kept is None:
        return ""
    sure = f"{100 * (events.verdict or {})['promise']['confidence']:g}% confidence"
    return (
        f" The test split measured {percent(kept, 2)}, less than asked, without proving it with "
        f"{sure}."
    )


def _counted(count: int, promise: dict[str, Any]) -> str:
    """So many texts, or queries where texts are ranked by query."""
    query = promise.get("unit") == "query"
    one, many = ("query", "queries") if query else ("text", "texts")
    return f"{count:,} {one if count == 1 else many}"


def _bound(lower: float | None) -> str:
    """What is proven. A record has None for minus infinity, which a correlation's bound is where
    the teacher's own may be below 0."""
    return at_least(lower) if lower is not None and lower > 0 else "nothing"


def _needed(promise: dict[str, Any]) -> str:
    if promise["proven"]:
        return (
            "Its own bound would do, but it is one of several: a slower one is not proven, and the "
            "sequence of tests ends there."
        )
    if promise["needed"] is None:
        return (
            "No number of texts in dev would prove it if it went on so: the estimate has no margin."
        )
    return f"A proof needs about {_counted(promise['needed'], promise)} in dev."


def _untested(field: Lineup) -> str:
    """A share of nothing cannot be kept, so that such a test split neither confirms nor refutes."""
    teacher = field.teacher
    if teacher is None or teacher.quality.get("test", 1) > 0:
        return ""
    value = score(teacher.quality["test"], teacher.metric)
    return (
        f"Warning: the teacher's {teacher.metric} on the test split is {value}, so that the split "
        "says nothing about the promise; look at its labels."
    )


def _better(events: Events, verdict: Event, field: Lineup) -> str:
    named = {system.name: system for system in field.systems}
    found = []
    for name in verdict.get("faster") or []:
        kept = field.kept(named[name], "dev") if name in named else None
        found.append(f"{name} ({percent(kept)})" if kept is not None else name)
    how = _BETTER.get(str(events.run.get("goal")), "Faster")
    return f"{how}, with an estimate that holds and no proof: {', '.join(found)}." if found else ""


def _simplest(field: Lineup) -> str:
    simplest, system = field.simplest, shown(field)
    if simplest is None or system is None or simplest is system:
        return ""
    split = split_of(field, system) if split_of(field, simplest) == "test" else "dev"
    kept, ours = field.kept(simplest, split), field.kept(system, split)
    fit, over = simplest.of("fit"), ratio(simplest.of("throughput"), system.of("throughput"))
    if kept is None or ours is None:
        return ""
    fitted = f", fitted in {significant(fit.value, 2)} s," if fit is not None else ""
    keep = "keep" if system.system == "hashed-ngrams" else "keeps"
    text = (
        f"{_called(simplest)}{fitted} keeps {percent(kept)} of the teacher's {system.metric} "
        f"on {split}, where {system.name} {keep} {percent(ours)}"
    )
    if over is None:
        return f"{text}."
    text += f", at {times(over.value)} its speed"
    worth = kept >= ours - _MARGIN and over.value >= 1
    return f"{text}: here it is the better choice." if worth else f"{text}."


def _called(simplest: System) -> str:
    return simplest.name.replace(" · ", " with a ")


def _majority(verdict: Event) -> str:
    beside = verdict.get("majority")
    if beside is None or beside["proven"]:
        return ""
    constant = f"always answering the commonest class, {beside['label']!r}"
    right = f"which is right for {percent(beside['share'])} of dev"
    if beside["constant"]:
        return f"Warning: the model gives every text of dev one answer, like {constant}, {right}."
    if beside["better"]:
        return f"Warning: the model is not proven to be better than {constant}, {right}."
    return (
        f"Warning: the model is no better than {constant}, {right}; judge by macro-f1, mcc or "
        "f1:LABEL (--metric)."
    )
