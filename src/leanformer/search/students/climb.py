"""Walking the ladder: which rung to try next, and when to stop.

Quality falls with size, so the smallest rung that holds is found by bisection, a third down what
is left: a large student that holds is also the start of the next one, a small one that fails is
time lost. A rung is trained from the smallest larger student that was trained already, which is a
better start than the teacher. The decisions are in the record; a resumed search reads them there
and tries nothing twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leanformer.search.students.ladder import Rung


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What came of one rung.

    Attributes:
        rung: Which.
        quality: On the development split, of the int8 student.
        kept: Whether that is enough.
        seconds: What the training took.
        usable: Whether a model came of it, which a smaller rung can begin from.
    """

    rung: Rung
    quality: float
    kept: bool
    seconds: float
    usable: bool = True


def climb(
    rungs: Sequence[Rung],
    attempt: Callable[[Rung, Rung | None], Trial | None],
    affordable: Callable[[Rung, Sequence[Trial]], bool],
    skip: Callable[[Rung], None],
) -> list[Trial]:
    """Try rungs until the smallest that holds is known, or time is up.

    Args:
        rungs: The largest first.
        attempt: Trains a rung, begun from another one or from the teacher (None); gives None where
            its first steps show that there is no time for it.
        affordable: Whether there is time for a rung, by what the trials so far took.
        skip: Called with each rung that there was no time for.
    """
    trials: list[Trial] = []
    largest, smallest = 0, len(rungs)  # the answer lies in [largest, smallest)
    while largest < smallest:
        middle = largest + (smallest - largest + 1) // 3
        rung = rungs[middle]
        if not affordable(rung, trials):
            skip(rung)
            break
        trial = attempt(rung, _start(rung, trials))
        if trial is None:
            break
        trials.append(trial)
        if trial.kept:
            largest = middle + 1
        else:
            smallest = middle
    return trials


def _start(rung: Rung, trials: Sequence[Trial]) -> Rung | None:
    """The smallest trained student of which `rung` is a part."""
    larger = [
        trial.rung
        for trial in trials
        if trial.usable
        and trial.rung.layers >= rung.layers
        and trial.rung.heads >= rung.heads
        and trial.rung.ffn >= rung.ffn
    ]
    return min(larger, key=lambda other: other.cost, default=None)
