"""Latency and throughput of several systems side by side in one run, from strings to outputs.

All systems are open at once and take turns on every load, so that the ratios between them are those
of the same minutes on the same machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from leanformer.core.machine.threads import cores
from leanformer.core.quantity import Quantity
from leanformer.measure.interleave import (
    Tell,
    Timing,
    interleave,
    interleave_rows,
    silent,
    speedup,
    spread,
)
from leanformer.measure.workload import (
    ROWS,
    Answerer,
    Workload,
    each_load,
    single_load,
    text_load,
)

_LATENCIES = {"latency_32": 32, "latency_128": 128}
_THROUGHPUTS = ("throughput", "throughput_unsorted")
_ONE = "_one_thread"
_EACH = "latency_each"
LOADS = (*_LATENCIES, *_THROUGHPUTS, f"latency_32{_ONE}", f"throughput{_ONE}", _EACH)
LATENCIES = ("latency_mean", "latency_median", "latency_worst")
"""What becomes of the load "latency_each": seconds per text, over real texts one by one."""
_ROUNDS = 3  # at most, of that load: it has a call for each text

Open = Callable[[int | None, int | None], Answerer]
"""Opens what is timed with a number of threads (None = all cores), to answer batches of so many
texts in the caller's order (None = its own batches); called once for each pair of them."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The outcome of one run.

    Attributes:
        quantities: By system, then by name: `LOADS` (of "latency_each" `LATENCIES` in its place)
            and "cpu_time".
        timings: By load, then by system: the calls behind them.
    """

    quantities: dict[str, dict[str, Quantity]]
    timings: dict[str, dict[str, Timing]]

    def speedup(self, baseline: str, candidate: str, load: str = "throughput") -> Quantity:
        """How many times faster `candidate` is than `baseline` on `load`."""
        return speedup(self.timings[load][baseline], self.timings[load][candidate])

    def speedup_over_users(self, baseline: str, candidate: str) -> Quantity:
        """`candidate` with its own batches against `baseline` as users run it, unsorted."""
        unsorted = self.timings["throughput_unsorted"][baseline]
        return speedup(unsorted, self.timings["throughput"][candidate])


def measure_systems(
    systems: Mapping[str, Open],
    length: Callable[[str], int],
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    rounds: int = 7,
    threads: int | None = None,
    loads: Sequence[str] = LOADS,
    max_length: int | None = None,
    tell: Tell = silent,
) -> Measured:
    """Time all `systems` on all `loads`, in turn.

    Args:
        systems: How each is opened, by name.
        length: Function from a text to its tokens, which the texts of the latencies are measured
            in.
        texts: A realistic mix of lengths; a hundred or more.
        pairs: Their second texts.
        rounds: Timed calls of each system on each load.
        threads: Threads for the loads that are not on one thread; None = all cores.
        loads: Names of the loads.
        max_length: Tokens of a text at most; None = as many as a load asks for.
        tell: Told what is being timed.

    Raises:
        ValueError: A load is not one of `LOADS`, or there are no texts or systems.
    """
    if unknown := [load for load in loads if load not in LOADS]:
        raise ValueError(f"loads: {', '.join(unknown)} not among {', '.join(LOADS)}")
    texts, pairs = list(texts), None if pairs is None else list(pairs)
    if not texts:
        raise ValueError("texts: a load is made of the caller's texts; there are none")
    twice = _timed_twice(loads, threads)
    whole = [load for load in loads if load != _EACH and load not in twice]
    work = {load: _workload(load, length, texts, pairs, max_length) for load in whole}
    opened = {name: _opened(system, loads, threads) for name, system in systems.items()}
    timings = _timed(opened, work, rounds, tell)
    for load, other in twice.items():
        timings[load], work[load] = timings[other], work[other]
    quantities = {name: _quantities(name, timings, work) for name in systems}
    if _EACH in loads:
        tell("texts one by one")
        calls_of = each_load(texts, pairs).calls
        timings[_EACH] = {}
        for name, timed_N in _each(opened, calls_of, min(rounds, _ROUNDS)).items():
            timings[_EACH][name] = Timing(calls=tuple(c for one in timed_N for c in one.calls))
            quantities[name].update(_latencies([one.seconds().value for one in timed_N]))
    return Measured(quantities=quantities, timings=timings)


def _timed(
    opened: Mapping[str, Mapping[str, Answerer]],
    work: Mapping[str, Workload],
    rounds: int,
    tell: Tell,
) -> dict[str, dict[str, Timing]]:
    """The timings of all systems on whole loads, by load: latencies in twice as many rounds."""
    # Sorted and unsorted batches take turns too: their ratio is one of the claims.
    calls = {
        (name, load): partial(work[load].run, by_load[load])
        for load in work
        for name, by_load in opened.items()
    }
    timings: dict[str, dict[str, Timing]] = {load: {} for load in work}
    latency = {key: call for key, call in calls.items() if key[1].startswith("latency")}
    heavy = {key: call for key, call in calls.items() if key not in latency}
    tell("latencies")
    for group, repeat, told in ((latency, 2 * rounds, silent), (heavy, rounds, tell)):
        named = {"\n".join(key): call for key, call in group.items()}
        timed = interleave(named, rounds=repeat, tell=told) if named else {}
        for joined, timing in timed.items():
            name, load = joined.rsplit("\n", 1)
            timings[load][name] = timing
    return timings


def _timed_twice(loads: Sequence[str], threads: int | None) -> dict[str, str]:
    """Loads on one thread that are others of `loads` where all are answered with one."""
    if (threads or cores()) > 1:
        return {}
    others = {load: load.removesuffix(_ONE) for load in loads if load.endswith(_ONE)}
    return {load: other for load, other in others.items() if other in loads}


def _each(
    opened: Mapping[str, Mapping[str, Answerer]],
    calls: Sequence[tuple[Sequence[str], Sequence[str] | None]],
    rounds: int,
) -> dict[str, list[Timing]]:
    """The timings of each text, by system: systems take turns, each with all texts in a row."""
    named = {
        name: [partial(by_load[_EACH].answer, *call) for call in calls]
        for name, by_load in opened.items()
    }
    return interleave_rows(named, rounds=rounds)


def _latencies(seconds_N: list[float]) -> dict[str, Quantity]:
    """Mean, median (with the quartiles of the texts) and worst of the texts' seconds."""
    values = float(np.mean(seconds_N)), spread(seconds_N, "s"), max(seconds_N)
    mean, median, worst = LATENCIES
    return {
        mean: Quantity(values[0], "s"),
        median: values[1],
        worst: Quantity(values[2], "s"),
    }


def _opened(system: Open, loads: Sequence[str], threads: int | None) -> dict[str, Answerer]:
    """The opened system of each load; loads with the same settings share one."""
    made: dict[tuple[int | None, int | None], Answerer] = {}
    found = {}
    for load in loads:
        rows = ROWS if load == "throughput_unsorted" else None
        key = 1 if load.endswith(_ONE) else threads, rows
        if key not in made:
            made[key] = system(*key)
        found[load] = made[key]
    return found


def _workload(
    load: str,
    length: Callable[[str], int],
    texts: list[str],
    pairs: list[str] | None,
    max_length: int | None,
) -> Workload:
    tokens = _LATENCIES.get(load.removesuffix(_ONE))
    if tokens is None:
        return text_load(texts, pairs)
    return single_load(length, texts, pairs, tokens=min(tokens, max_length or tokens))


def _quantities(
    name: str, timings: dict[str, dict[str, Timing]], work: dict[str, Workload]
) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for load in work:
        by_name = timings[load]
        timing, texts = by_name[name], work[load].texts
        if load.startswith("latency"):
            each = timing.seconds()
            assert each.low is not None
            assert each.high is not None
            found[load] = Quantity(each.value / texts, "s", each.low / texts, each.high / texts)
        else:
            found[load] = timing.rate(texts)
    if "throughput" in timings:
        found["cpu_time"] = timings["throughput"][name].cpu(work["throughput"].texts)
    return found
