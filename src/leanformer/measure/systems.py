"""Latency and throughput of several systems side by side in one run.

All systems are open at once and take turns on every load, so that the ratios between them are those
of the same minutes on the same machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from leanformer.core.quantity import Quantity
from leanformer.measure.interleave import Timing, interleave, speedup
from leanformer.measure.workload import Workload, single_load, text_load
from leanformer.runtime.session import Session

LOADS = ("latency_32", "latency_128", "throughput", "throughput_unsorted")


@dataclass(frozen=True, kw_only=True)
class System:
    """What is timed: how to open it, and its tokenizer.

    Attributes:
        open: Makes the session; called once.
        tokenizer: The tokenizer of its model.
        max_length: Longer texts are cut to this many tokens.
    """

    open: Callable[[], Session]
    tokenizer: Any
    max_length: int = 128


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The outcome of one run.

    Attributes:
        quantities: By system, then by name: `LOADS` and "cpu_time".
        timings: By load, then by system: the calls behind them.
        pins: By system: what was pinned.
        padding: By system, then by load: (real, padded) tokens.
    """

    quantities: dict[str, dict[str, Quantity]]
    timings: dict[str, dict[str, Timing]]
    pins: dict[str, dict[str, Any]]
    padding: dict[str, dict[str, tuple[int, int]]]

    def speedup(self, baseline: str, candidate: str, load: str = "throughput") -> Quantity:
        """How many times faster `candidate` is than `baseline` on `load`."""
        return speedup(self.timings[load][baseline], self.timings[load][candidate])

    def speedup_over_users(self, baseline: str, candidate: str) -> Quantity:
        """`candidate` on sorted batches against `baseline` as users run it, unsorted."""
        unsorted = self.timings["throughput_unsorted"][baseline]
        return speedup(unsorted, self.timings["throughput"][candidate])


def measure_systems(
    systems: Mapping[str, System],
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    rounds: int = 7,
    loads: Sequence[str] = LOADS,
) -> Measured:
    """Time all `systems` on all `loads`, in turn.

    Args:
        systems: By name.
        texts: A realistic mix of lengths; a hundred or more.
        pairs: Their second texts.
        rounds: Timed calls of each system on each load.
        loads: Which loads.

    Raises:
        ValueError: A load is not one of `LOADS`, or there are no texts or systems.
    """
    if unknown := [load for load in loads if load not in LOADS]:
        raise ValueError(f"loads: {', '.join(unknown)} not among {', '.join(LOADS)}")
    if not texts:
        raise ValueError("texts: a load is made of the caller's texts; there are none")
    work = {
        name: {load: _workload(load, system, texts, pairs) for load in loads}
        for name, system in systems.items()
    }
    sessions = {name: system.open() for name, system in systems.items()}
    # Sorted and unsorted batches take turns too: their ratio is one of the claims.
    calls = {
        (name, load): partial(work[name][load].run, sessions[name])
        for load in loads
        for name in systems
    }
    timings: dict[str, dict[str, Timing]] = {load: {} for load in loads}
    latency = {key: call for key, call in calls.items() if key[1].startswith("latency")}
    heavy = {key: call for key, call in calls.items() if key not in latency}
    for group, repeat in ((latency, 2 * rounds), (heavy, rounds)):
        named = {"\n".join(key): call for key, call in group.items()}
        for joined, timing in (interleave(named, rounds=repeat) if named else {}).items():
            name, load = joined.split("\n")
            timings[load][name] = timing
    return Measured(
        quantities={name: _quantities(name, timings, work[name]) for name in systems},
        timings=timings,
        pins={name: session.pins for name, session in sessions.items()},
        padding={
            name: {load: (w.padding.real, w.padding.padded) for load, w in by_load.items()}
            for name, by_load in work.items()
        },
    )


def _workload(
    load: str, system: System, texts: Sequence[str], pairs: Sequence[str] | None
) -> Workload:
    if load.startswith("latency"):
        tokens = min(int(load.removeprefix("latency_")), system.max_length)
        return single_load(system.tokenizer, texts, pairs, tokens=tokens)
    by_length = load == "throughput"
    limit = system.max_length
    return text_load(system.tokenizer, texts, pairs, by_length=by_length, max_length=limit)


def _quantities(
    name: str, timings: dict[str, dict[str, Timing]], work: dict[str, Workload]
) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for load, by_name in timings.items():
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
