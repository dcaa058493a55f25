"""Walking the ladder: which rung to try next, and when to stop.

Quality falls with size, so the smallest rung that holds is found by bisection. The first one tried
is likely to hold (`ladder.first_place`): then there is something to export, whatever time is left,
and the next one begins from it. After that a third of what is left is passed over at a time: down
after a rung that held, up after one that failed. A rung is trained from the smallest larger student
that was trained already, which is a better start than the teacher. The decisions are in the record;
a resumed search reads them there and tries nothing twice.
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
    affordable: Callable[[Rung, Rung | None, Sequence[Trial]], bool],
    skip: Callable[[Rung], None],
    *,
    first: int | None = None,
    worthwhile: Callable[[Rung, Rung], bool] = lambda kept, rung: True,
) -> list[Trial]:
    """Try rungs until the smallest that holds is known, nothing worthwhile is left, or time is up.

    Args:
        rungs: The largest first.
        attempt: Trains a rung, begun from another one or from the teacher (None); gives None where
            its first steps show that there is no time for it.
        affordable: Whether there is time for a rung that begins from another one, by what the
            trials so far took.
        skip: Called with each rung that there was no time for.
        first: Place of the rung to begin with; None = a third down.
        worthwhile: Whether the smallest rung that is left would gain enough over one that is kept.
    """
    trials: list[Trial] = []
    largest, smallest = 0, len(rungs)  # the answer lies in [largest, smallest)
    while largest < smallest:
        kept = [trial.rung for trial in trials if trial.kept]
        if kept and not worthwhile(kept[-1], rungs[smallest - 1]):
            break
        place = largest + (smallest - largest + 1) // 3 if first is None else first
        first = None
        start = start_of(rungs[place], trials)
        if not affordable(rungs[place], start, trials):
            skip(rungs[place])
            if kept or place == largest:
                break
            smallest = place  # nearer to the teacher less training is needed
            continue
        trial = attempt(rungs[place], start)
        if trial is None:
            break
        trials.append(trial)
        if trial.kept:
            largest = place + 1
        else:
            smallest = place
    return trials


def start_of(rung: Rung, trials: Sequence[Trial]) -> Rung | None:
    """The smallest trained student of which `rung` is a part; None = the teacher."""
    larger = [
        trial.rung
        for trial in trials
        if trial.usable
        and trial.rung.layers >= rung.layers
        and trial.rung.heads >= rung.heads
        and trial.rung.ffn >= rung.ffn
    ]
    return min(larger, key=lambda other: other.cost, default=None)
