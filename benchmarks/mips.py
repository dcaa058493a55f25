"""How the time of a search grows from 10,000 to a million vectors, and what the adviser chooses.

    python benchmarks/mips.py embed     (once; goes on where it was stopped)
    python benchmarks/mips.py clock     (on a quiet machine! at most a quarter of an hour)
    python benchmarks/mips.py page      (writes docs/results/mips.md)

`clock`: for each number of vectors, an exact search, HNSW over codes of 8 bits and inverted lists
of RaBitQ codes are built, tuned to recall@10 of 0.95 on queries that are not among the vectors, and
timed one query at a time, in turns. Then, at one size, the adviser chooses, and its choice is timed
beside a grid of settings that somebody might try by hand. `--tiny` is for tests: random vectors.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from foundation_tables import RESULTS
from mips_page import write_page
from mips_vectors import embed, noised, vectors
from threadpoolctl import threadpool_limits

from leanformer.core.codec import encode
from leanformer.core.record import Record
from leanformer.measure.environment import environment
from leanformer.measure.interleave import interleave, speedup, spread
from leanformer.retrieve.indexes import (
    BuiltIndex,
    Exact,
    Hnsw,
    Index,
    Ivf,
    IvfPq,
    IvfRabitq,
    advise,
)
from leanformer.retrieve.indexes.advice import Tuned, true_answers, tune

MEASURED = RESULTS / "mips.jsonl"
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
GROWN: dict[str, Index] = {
    "exact": Exact(),
    "hnsw": Hnsw(),
    "ivf-rabitq": IvfRabitq(),
}
GRID: tuple[Index, ...] = (
    *(Hnsw(links=links, ef_construction=built) for links in (16, 32) for built in (100, 200)),
    *(Ivf(lists=lists) for lists in (512, 1024)),
    *(IvfRabitq(lists=lists) for lists in (512, 1024)),
    IvfPq(lists=1024),
)
TARGET, K, AT = 0.95, 10, 100_000
TUNED_ON, SINGLE, ROUNDS = 300, 64, 7


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["embed", "clock", "page"])
    parser.add_argument("--tiny", action="store_true", help="random vectors, for tests")
    parser.add_argument("--out", type=Path, default=MEASURED)
    asked = parser.parse_args()
    if asked.what == "page":
        write_page(asked.out)
    elif asked.what == "embed":
        embed()
    else:
        clock(asked.out, asked.tiny)


def clock(out: Path, tiny: bool) -> None:
    """Time what is not yet in the record."""
    read: Callable[[int], Any] = random_vectors if tiny else vectors
    sizes = (300, 600) if tiny else SIZES
    done = Record(out).events()
    for size in sizes:
        if not any(e["event"] == "growth" and e["vectors"] == size for e in done):
            grow(out, *read(size), tiny=tiny)
    if not any(e["event"] == "advice" for e in done):
        choose(out, *read(sizes[-1] if tiny else AT), tiny=tiny)


def grow(out: Path, rows: np.ndarray, queries: np.ndarray, real: int, *, tiny: bool) -> None:
    """Build, tune and time each index at one size."""
    made, told = {}, {}
    for name, index in GROWN.items():
        made[name], told[name] = tuned(index, rows, queries)
        print(f"{len(rows):,} vectors: {name} {told[name]}", flush=True)
    calls = {name: singles(one, queries) for name, one in made.items()}
    with threadpool_limits(1):  # numpy multiplies for the exact search
        timings = interleave(calls, rounds=1 if tiny else ROUNDS, warmup=1)
    for name, timing in timings.items():
        Record(out).write(
            "growth",
            vectors=len(rows),
            real=real,
            index=name,
            latency=spread([call.wall / SINGLE for call in timing.kept], "s"),
            contended=timing.contended,
            **told[name],
            environment=environment(1),
        )


def choose(out: Path, rows: np.ndarray, queries: np.ndarray, real: int, *, tiny: bool) -> None:
    """Time the adviser's choice beside a grid tuned by hand."""
    grid = (Hnsw(links=8), Ivf(lists=64)) if tiny else GRID
    rounds = 1 if tiny else ROUNDS
    started = time.perf_counter()
    advice = advise(rows, target_recall=TARGET, k=K, fast_enough_s=0, rounds=rounds)
    seconds = time.perf_counter() - started
    made, told = {}, {}
    for name, index in {"adviser": advice.index, **{repr(one): one for one in grid}}.items():
        made[name], told[name] = tuned(index, rows, queries)
        print(f"{name} {told[name]}", flush=True)
    made = {name: one for name, one in made.items() if told[name]["met"]}
    calls = {name: singles(one, queries) for name, one in made.items()}
    with threadpool_limits(1):
        timings = interleave(calls, rounds=rounds, warmup=1)
    rivals = [name for name in timings if name != "adviser"]
    best = min(rivals, key=lambda name: timings[name].seconds().value)
    chosen = "adviser" if "adviser" in timings else best
    Record(out).write(
        "advice",
        vectors=len(rows),
        real=real,
        chosen=encode(advice.index),
        reason=advice.reason,
        seconds=seconds,
        table=advice.table(),
        best=best,
        ratio=speedup(timings[best], timings[chosen]),
        grid={
            name: {
                "latency": spread([call.wall / SINGLE for call in timing.kept], "s"),
                **told[name],
            }
            for name, timing in timings.items()
        },
        environment=environment(1),
    )


def tuned(index: Index, rows: np.ndarray, queries: np.ndarray) -> tuple[BuiltIndex, dict[str, Any]]:
    """The index with the least effort that reaches the target, and what it took.

    Effort is found on some queries, recall is measured on others.
    """
    started = time.perf_counter()
    built = index.build(rows)
    seconds = time.perf_counter() - started
    found: Tuned = tune(built, true_answers(rows, queries[:TUNED_ON], K), TARGET)
    recall = true_answers(rows, queries[TUNED_ON:], K).recall(found.index)
    return found.index, {
        "settings": encode(found.index.description),
        "met": found.met,
        "recall": recall,
        "build_seconds": seconds,
        "size_bytes": built.size_bytes,
    }


def singles(index: BuiltIndex, queries: np.ndarray) -> Callable[[], None]:
    """Ask some queries, one at a time."""

    def ask() -> None:
        for query in queries[-SINGLE:]:
            index.search(query[None], K)

    return ask


def random_vectors(count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Vectors and queries without any text behind them."""
    rng = np.random.default_rng(0)
    real = rng.standard_normal((1_000, 32)).astype(np.float32)
    real /= np.linalg.norm(real, axis=1, keepdims=True)
    return noised(real, count), noised(real[::-1], TUNED_ON + 2 * SINGLE), 0


if __name__ == "__main__":
    main()
