"""Time systems against each other so that the answer can be trusted on a shared machine.

    round r: A B C, A B C, …          speed-up = median over rounds of  t_A(r) / t_B(r)

One process, one warm-up, then rounds in which each system runs once, so that a busy moment hurts
all alike. Times drift by a factor of two on a shared machine; the ratios of neighbours do not. A
call whose threads waited for a core is marked by the kernel's own account (run delay in schedstat)
and left out where enough clean calls remain: eager PyTorch loses ten times more than OpenVINO when
one of its threads is descheduled, so a naive benchmark is not noisy but biased.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leanformer.core.quantity import Quantity

Tell = Callable[[str], None]
"""Told what is being done, for whoever waits."""
_TASKS = Path("/proc/self/task")
_MOST_WAIT = 0.05  # of the wall time, over all threads


def silent(text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One timed call.

    Attributes:
        wall: Seconds on the clock.
        cpu: CPU seconds of all threads of the process.
        waited: Seconds that threads were ready to run and had no core; 0 where unknown.
    """

    wall: float
    cpu: float
    waited: float

    @property
    def clean(self) -> bool:
        """Whether the machine was ours during the call."""
        return self.waited <= _MOST_WAIT * self.wall


@dataclass(frozen=True, kw_only=True)
class Timing:
    """All calls of one system, in the order of the rounds."""

    calls: tuple[Call, ...]

    @property
    def kept(self) -> tuple[Call, ...]:
        """The clean calls; all of them where fewer than half are clean."""
        clean = tuple(call for call in self.calls if call.clean)
        return clean if 2 * len(clean) >= len(self.calls) else self.calls

    @property
    def contended(self) -> float:
        """The share of calls that had to wait for a core: above a half the times are doubtful."""
        return sum(not call.clean for call in self.calls) / len(self.calls)

    def seconds(self) -> Quantity:
        """Wall time of a call."""
        return spread([call.wall for call in self.kept], "s")

    def cpu(self, texts: int = 1) -> Quantity:
        """CPU time for each of the `texts` of a call."""
        return spread([call.cpu / texts for call in self.kept], "s/text")

    def rate(self, texts: int) -> Quantity:
        """Texts a second, of calls that answer `texts` of them."""
        return spread([texts / call.wall for call in self.kept], "texts/s")


def interleave(
    systems: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 7,
    warmup: int = 2,
    tell: Tell = silent,
) -> dict[str, Timing]:
    """Time each system once a round, in turn.

    Args:
        systems: What to call, by name.
        rounds: How often.
        warmup: Calls of each that are not timed: first calls compile and fill caches.
        tell: Told before each round which one it is.

    Raises:
        ValueError: There is nothing to time, or no round to do it in.
    """
    if not systems or rounds < 1:
        raise ValueError(f"systems: {len(systems)}, rounds: {rounds}; at least one of each")
    for _ in range(warmup):
        for call in systems.values():
            call()
    calls: dict[str, list[Call]] = {name: [] for name in systems}
    for number in range(1, rounds + 1):
        tell(f"round {number} of {rounds}")
        for name, call in systems.items():
            calls[name].append(timed(call))
    return {name: Timing(calls=tuple(done)) for name, done in calls.items()}


def interleave_rows(
    systems: Mapping[str, Sequence[Callable[[], object]]], *, rounds: int
) -> dict[str, list[Timing]]:
    """Time each call of each system; systems take turns, and each makes all its calls in a row.

    Args:
        systems: The calls of each, by name.
        rounds: How often each call is timed; one more round before them is not.

    Returns:
        The timing of each call, by system.
    """
    calls: dict[str, list[list[Call]]] = {name: [[] for _ in row] for name, row in systems.items()}
    for number in range(rounds + 1):
        for name, row in systems.items():
            for place, call in enumerate(row):
                done = timed(call)
                if number:
                    calls[name][place].append(done)
    return {name: [Timing(calls=tuple(one)) for one in row] for name, row in calls.items()}


def timed(call: Callable[[], object]) -> Call:
    """Run `call` once with the clocks on."""
    waited, cpu, wall = run_delay(), time.process_time(), time.perf_counter()
    call()
    wall = time.perf_counter() - wall
    return Call(wall=wall, cpu=time.process_time() - cpu, waited=max(0.0, run_delay() - waited))


def speedup(baseline: Timing, candidate: Timing) -> Quantity:
    """How many times faster `candidate` is: median and quartiles of the ratios round by round.

    Rounds in which either had to wait for a core are left out where at least half are clean.

    Raises:
        ValueError: They were not timed in the same rounds.
    """
    if len(baseline.calls) != len(candidate.calls):
        raise ValueError(
            f"{len(baseline.calls)} and {len(candidate.calls)} rounds: time both in one run"
        )
    rounds = list(zip(baseline.calls, candidate.calls, strict=True))
    clean = [(a, b) for a, b in rounds if a.clean and b.clean]
    used = clean if 2 * len(clean) >= len(rounds) else rounds
    return spread([a.wall / b.wall for a, b in used], "x")


def spread(values: list[float], unit: str) -> Quantity:
    """Median and quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Quantity(float(middle), unit, float(low), float(high))


def run_delay() -> float:
    """Seconds that the threads of this process have waited for a core; 0 where not told."""
    total = 0
    for task in _TASKS.iterdir() if _TASKS.is_dir() else []:
        try:
            total += int((task / "schedstat").read_text().split()[1])
        except (OSError, IndexError):
            continue  # the thread has ended, or the kernel keeps no account
    return total / 1e9
