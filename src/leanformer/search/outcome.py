"""What a search may say in the end, and the exit code that says it to a script.

    kept       0   dev proves the promise, and the test split does not prove the contrary
    unproven   3   the estimate on dev holds, without proof: exported, and said to be so
    not kept   4   nothing is chosen, or what is chosen keeps too little

The test split is small too. It takes a promise back only where it proves, with the same confidence,
that less is kept: teacher and student change places in the bootstrap.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from leanformer.core.quantity import Quantity
from leanformer.data import Task
from leanformer.measure.fixed_sequence import Candidate, Choice, choose_fastest
from leanformer.measure.majority import against_majority
from leanformer.measure.promise import Promise
from leanformer.numerics.paired_bootstrap import paired_bootstrap
from leanformer.search.contest import Contest
from leanformer.search.entry import INT8_TEACHER
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

    Args:
        goal: What the search is for.
        quantities: What was measured of the system.
    """
    if goal == "throughput":
        return 1 / quantities["throughput"].value
    return quantities["latency_32" if goal == "latency" else goal].value


def pick(contest: Contest, measured: Mapping[str, Mapping[str, Quantity]]) -> Picked | None:
    """The best system in int8 that is proven to keep what is asked, else the best whose estimate
    holds; the whole teacher is one of them. None where no estimate holds.

    The best is the one of least cost by the request's goal. The sequence of tests is ordered by
    the same cost, which does not depend on quality on dev.
    """
    goal = contest.request.goal
    choice = choose_fastest(
        [
            Candidate(
                name=name,
                cost=cost_of(goal, measured[name]),
                promise=contest.promise(name),
            )
            for name, entry in contest.entries.items()
            if entry.role == "candidate" or name == INT8_TEACHER
        ]
    )
    if choice.chosen is None:
        return None
    return Picked(
        name=choice.chosen,
        proven=choice.proven,
        faster=choice.unproven,
        reason=_reason(choice, goal),
    )


def _reason(choice: Choice, goal: Goal) -> str:
    assert choice.promise is not None
    asked = f"{choice.promise.keep:.4g} of the teacher's quality"
    if choice.proven:
        return f"{BEST[goal]} that is proven to keep {asked}, {choice.promise.confidence:.4g} sure"
    return f"nothing is proven to keep {asked}; {BEST[goal]} whose estimate on dev does"


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
