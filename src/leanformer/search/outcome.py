"""What a search may say in the end, and the exit code that says it to a script.

    kept       0   dev proves the promise, and the test split does not prove the contrary
    unproven   3   the estimate on dev holds, without proof: exported, and said to be so
    not kept   4   nothing is chosen, or what is chosen keeps too little

The test split is small too. It takes a promise back only where it proves, with the same confidence,
that less is kept: teacher and student change places in the bootstrap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from leanformer.core.quantity import Quantity
from leanformer.data import Task
from leanformer.measure.fixed_sequence import Candidate, choose_fastest
from leanformer.measure.majority import against_majority
from leanformer.measure.promise import Promise
from leanformer.numerics.paired_bootstrap import paired_bootstrap
from leanformer.search.contest import Contest
from leanformer.search.entrants.chains import Chain, share_confidence, students_compete
from leanformer.search.entry import INT8_TEACHER, NGRAMS
from leanformer.search.judged import Judged
from leanformer.search.request import BEST, Goal

Outcome = Literal["kept", "unproven", "not kept"]

EXIT_CODES: dict[Outcome, int] = {"kept": 0, "unproven": 3, "not kept": 4}


@dataclass(frozen=True, kw_only=True)
class Picked:
    """What was chosen, as the record keeps it.

    Attributes:
        name: Of the system.
        proven: Whether its promise was proven in the sequence of tests.
        faster: Systems that are better by the goal and whose estimates hold without proof, the best
            first.
        reason: Why it was chosen.
    """

    name: str
    proven: bool
    faster: tuple[str, ...]
    reason: str


def cost_of(goal: Goal, quantities: Mapping[str, Quantity]) -> float:
    """What a system costs: less is better.

    Latency is the mean over real texts: of a cascade, a text of made-up words would nearly always
    be passed on.

    Args:
        goal: What the search is for.
        quantities: What was measured of the system.
    """
    if goal == "throughput":
        return 1 / quantities["throughput"].value
    return quantities["latency_mean" if goal == "latency" else goal].value


def pick(
    contest: Contest,
    measured: Mapping[str, Mapping[str, Quantity]],
    chains: Sequence[Chain] = (),
) -> Picked | None:
    """The best candidate that is proven to keep what is asked, else the best whose estimate holds;
    the whole teacher in int8 is one of them. None where no estimate holds.

    The best one costs least by the goal of the request. The tests are ordered by the same cost,
    which does not depend on quality on dev.

    Args:
        contest: All systems, judged on dev.
        measured: What was measured of each.
        chains: What dev says of cascades; those that take part have entered the contest.
    """
    costs = {
        name: cost_of(contest.request.goal, measured[name])
        for name, entry in contest.entries.items()
        if entry.role == "candidate" or name == INT8_TEACHER
    }
    proven = _proven(contest, costs, chains)
    holding = {name for name in costs if contest.promise(name).holds}
    best = min(proven or holding, key=lambda name: (costs[name], name), default=None)
    if best is None:
        return None
    faster = sorted((costs[n], n) for n in holding - proven if costs[n] < costs[best])
    return Picked(
        name=best,
        proven=bool(proven),
        faster=tuple(name for _, name in faster),
        reason=_reason(contest, bool(proven)),
    )


def _proven(contest: Contest, costs: Mapping[str, float], chains: Sequence[Chain]) -> set[str]:
    """Names of the candidates that are proven: the whole teacher first, and then each in its chain.

    Students are one chain, by their costs, unless n-grams lead; n-grams that are in no cascade are
    another.
    """
    if INT8_TEACHER in costs and not contest.promise(INT8_TEACHER).proven:
        return set()
    confidence = share_confidence(contest, chains)
    students = [n for n in costs if contest.entries[n].system == "transformer"]
    if not students_compete(contest):
        students = []
    sequence = choose_fastest(
        [
            Candidate(
                name=name,
                cost=costs[name],
                promise=contest.promise_of(contest.entries[name].judged, confidence),
            )
            for name in students
            if name != INT8_TEACHER
        ]
    )
    proven = {INT8_TEACHER, *sequence.certified, *(n for chain in chains for n in chain.proven)}
    if NGRAMS in costs and not any(chain.first.name == NGRAMS for chain in chains):
        promise = contest.promise_of(contest.entries[NGRAMS].judged, confidence)
        proven.update([NGRAMS] if promise.proven else [])
    return proven & set(costs)


def _reason(contest: Contest, proven: bool) -> str:
    request = contest.request
    asked = f"{request.keep:.4g} of the teacher's quality"
    if proven:
        return f"{BEST[request.goal]} that is proven to keep {asked}, {request.confidence:.4g} sure"
    return f"nothing is proven to keep {asked}; {BEST[request.goal]} whose estimate on dev does"


def outcome_of(promise: Promise, proven: bool, refuted: bool) -> Outcome:
    """What may be said of an exported model.

    Args:
        promise: What dev says of it, as it is served.
        proven: Whether it was proven in the sequence of tests.
        refuted: Whether the test split proves the contrary.
    """
    if refuted or not promise.holds:
        return "not kept"
    return "kept" if proven and promise.proven else "unproven"


def refutes(teacher: Judged, student: Judged, task: Task, promise: Promise) -> bool:
    """Whether a split proves that the student keeps less than was promised."""
    if not student.quality > 0:  # NaN too
        return teacher.quality > 0
    turned = paired_bootstrap(task.scorer(), student.statistics, teacher.statistics)
    return turned.lower(promise.confidence) > 1 / promise.keep


def beside_majority(judged: Judged, task: Task, confidence: float) -> dict[str, Any] | None:
    """A classifier beside always answering the commonest class, for the record; None for other
    tasks."""
    if not task.about.majority:
        return None
    found = against_majority(judged.predicted, judged.gold, confidence=confidence)
    return asdict(found) | {"label": task.labels[found.label]}
