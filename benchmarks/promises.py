"""Do promises hold? Real systems, dev sets drawn by the hundred, and the whole pool as the truth.

    python benchmarks/promises.py train       (hours; resumable, in runs/promises/)
    python benchmarks/promises.py simulate    (about ten minutes; resumable)
    python benchmarks/promises.py page        (writes docs/results/promises.md)

`train` writes the answers of every system to `docs/results/promises.jsonl`: numbers, no text.
`simulate` needs nothing else. It draws dev sets from the pool, with replacement, and lets the
library's own functions (`paired_bootstrap`, `promise_of`, `choose_fastest`) make their promises:

    one student     "it keeps at least L", L the 90 % lower bound     holds where L <= truth
    a choice        "it keeps at least `keep`", of the fastest        holds where keep <= truth
                    system that is proven; often there is none

A choice is also made by two other rules: the fastest system whose estimate on dev holds (plain),
and for accuracy by an exact bound in place of the bootstrap.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from foundation_tables import RESULTS
from numpy.typing import NDArray
from promises_page import SYSTEMS, write_page
from scipy.stats import beta

from leanformer.core.record import Record, read
from leanformer.measure.fixed_sequence import Candidate, choose_fastest
from leanformer.measure.promise import Promise, promise_of
from leanformer.numerics.metrics import Accuracy, MacroF1, Matthews, Metric, Pearson, Spearman
from leanformer.numerics.paired_bootstrap import paired_bootstrap

ANSWERS = RESULTS / "promises.jsonl"
SIMULATED = RESULTS / "promises-simulation.jsonl"

METRICS: dict[str, tuple[Metric, ...]] = {
    "banking77": (Accuracy(), MacroF1(77)),
    "sst2": (Accuracy(), Matthews(2)),
    "stsb": (Spearman(), Pearson()),
}
SIZES, KEEPS, CONFIDENCE = (300, 1000, 3000), (0.95, 0.97, 0.99), 0.9
DRAWS = 400  # dev sets of each size
RESAMPLES = 500  # the library's default is 4,000


@dataclass(frozen=True)
class Pool:
    """What all systems answer to the test texts of one data set, judged by one metric."""

    metric: Metric
    answers: dict[str, NDArray[Any]]  # of "gold", "teacher" and the systems, [N]

    @property
    def systems(self) -> tuple[str, ...]:
        return tuple(name for name in SYSTEMS if name in self.answers)

    def statistics(self, system: str, drawn: Any = slice(None)) -> NDArray[Any]:
        """The metric's statistics of a system's answers to the drawn texts."""
        return self.metric.statistics(self.answers[system][drawn], self.answers["gold"][drawn])

    @cached_property
    def quality(self) -> dict[str, float]:
        """Quality of the teacher and of each system on the whole pool."""
        gold = self.answers["gold"]
        names = ("teacher", *self.systems)
        return {name: self.metric.score(self.answers[name], gold) for name in names}

    @cached_property
    def kept(self) -> dict[str, float]:
        """The share of the teacher's quality that each system truly keeps."""
        return {name: self.quality[name] / self.quality["teacher"] for name in self.systems}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["train", "simulate", "page"])
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(read(SIMULATED))
        return
    for data, metrics in METRICS.items():
        if asked.what == "train":
            from promises_systems import train  # models and data sets, which nothing else needs

            train(data, ANSWERS)
            continue
        for metric in metrics:
            pool = Pool(metric, answers_of(data))
            for size in SIZES:
                keep_simulation(data, pool, size)


def answers_of(data: str) -> dict[str, NDArray[Any]]:
    """System -> its answers."""
    return {e["system"]: np.array(e["answers"]) for e in read(ANSWERS) if e["data"] == data}


def keep_simulation(data: str, pool: Pool, size: int) -> None:
    """Append what dev sets of one size promise, unless it is there."""
    key = {"data": data, "metric": pool.metric.name, "size": size}
    known = read(SIMULATED) if SIMULATED.is_file() else []
    if any(key.items() <= event.items() for event in known):
        return
    found = simulate(pool, size)
    Record(SIMULATED).write("promises", **key, **found)
    sys.stderr.write(f"{key}\n")


def simulate(
    pool: Pool, size: int, draws: int = DRAWS, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Draw dev sets and count the promises that are made and those that hold on the pool."""
    covered: Counter[str] = Counter()
    made: dict[float, Counter[str]] = {keep: Counter() for keep in KEEPS}
    held: dict[float, Counter[str]] = {keep: Counter() for keep in KEEPS}
    for draw in range(draws):
        dev = np.random.default_rng([size, draw]).integers(0, len(pool.answers["gold"]), size)
        teacher = pool.statistics("teacher", dev)
        students = {name: pool.statistics(name, dev) for name in pool.systems}
        drawn = {
            name: paired_bootstrap(pool.metric, teacher, one, resamples=resamples, seed=draw)
            for name, one in students.items()
        }
        covered.update(n for n in drawn if drawn[n].lower(CONFIDENCE) <= pool.kept[n])
        for keep in KEEPS:
            promises = {name: promise_of(one, keep, CONFIDENCE) for name, one in drawn.items()}
            chosen = choices(promises)
            if isinstance(pool.metric, Accuracy):
                proven = [exact_lower(teacher, one) >= keep for one in students.values()]
                chosen["exact"] = last_before_false(pool.systems, proven)
            for rule, name in chosen.items():
                if name is not None:
                    made[keep][rule] += 1
                    held[keep][rule] += pool.kept[name] >= keep
    return {
        "pool": len(pool.answers["gold"]),
        "draws": draws,
        "teacher": pool.quality["teacher"],
        "kept": pool.kept,
        "covered": {name: covered[name] for name in pool.systems},
        "choices": [{"keep": k, "made": dict(made[k]), "held": dict(held[k])} for k in KEEPS],
    }


def choices(promises: dict[str, Promise]) -> dict[str, str | None]:
    """Rule -> the system that it promises, if any; the promises come slowest first."""
    candidates = [
        Candidate(name=name, cost=-place, promise=promise)
        for place, (name, promise) in enumerate(promises.items())
    ]
    choice = choose_fastest(candidates)
    holding = [name for name, promise in promises.items() if promise.holds]
    return {
        "bound": choice.chosen if choice.proven else None,
        "plain": holding[-1] if holding else None,
    }


def exact_lower(teacher: NDArray[Any], student: NDArray[Any]) -> float:
    """Clopper and Pearson's lower bound of the share of the teacher's right answers that the
    student gives too. Texts that only the student answers rightly win it nothing, so that the
    share of accuracy that is kept is at least this."""
    both = student[teacher[:, 0] > 0, 0]
    right, count = int(both.sum()), len(both)
    return float(beta.ppf(1 - CONFIDENCE, right, count - right + 1)) if right else 0.0


def last_before_false(names: Sequence[str], proven: Sequence[bool]) -> str | None:
    """The last name in the sequence before the first that is not proven."""
    count = next((i for i, one in enumerate(proven) if not one), len(proven))
    return names[count - 1] if count else None


if __name__ == "__main__":
    main()
