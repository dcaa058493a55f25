"""Which index to build: candidates on a sample, tuned to one recall, timed in turn.

Every candidate is built of the same sample, gets the least effort that reaches the target on held
out queries (`tuning`), and is timed on the same queries, one at a time (latency) and all at once
(throughput), in turns, so that a busy moment hurts all alike. Where there are more rows than in the
sample, times are carried over by the growth of each technique:

    linear   N/S          flat codes, exact
    root     √(N/S)       inverted lists
    log      ln N / ln S  graphs

The same vectors, queries and seed give the same sample and the same efforts (graphs that several
threads build differ slightly); times are those of the machine.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from leanformer.core.machine.threads import cores
from leanformer.core.quantity import Quantity
from leanformer.core.ranges import Count, Seed, Share, check_number
from leanformer.measure.interleave import Tell, Timing, interleave, silent, spread
from leanformer.retrieve.indexes.advice.recall import true_answers
from leanformer.retrieve.indexes.advice.tuning import Tuned, tune
from leanformer.retrieve.indexes.binary import Binary
from leanformer.retrieve.indexes.exact import Exact
from leanformer.retrieve.indexes.hnsw import Hnsw
from leanformer.retrieve.indexes.int8_codes import Int8Codes
from leanformer.retrieve.indexes.interface import (
    BuiltIndex,
    Index,
    checked_threads,
    checked_vectors,
)
from leanformer.retrieve.indexes.ivf import Ivf
from leanformer.retrieve.indexes.ivf_pq import IvfPq
from leanformer.retrieve.indexes.ivf_rabitq import IvfRabitq
from leanformer.retrieve.indexes.scalar import Scalar

Preference = Literal["latency", "throughput", "memory"]
CANDIDATES: tuple[Index, ...] = (
    Exact(),
    Scalar(),
    Int8Codes(),
    Binary(),
    Hnsw(),
    Hnsw(links=32),
    Ivf(),
    IvfPq(),
    IvfRabitq(),
)
"""What is tried, unless others are named."""
SMALL = 2_000
"""Rows below which nothing but an exact search is considered: it takes microseconds."""
FAST_ENOUGH = 5e-3
"""Seconds per query up to which an exact search wins: encoding the query takes as long."""
_QUERIES = 400  # held out of the rows where none are given
_SINGLE = 32  # queries that are asked one at a time in a round


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One index that was tried on the sample.

    Attributes:
        index: Its description, with the effort that was found.
        recall: Recall@k on the held-out queries.
        met: Whether that reaches the target; the rest did not at their most effort.
        latency: Seconds per query, asked one at a time.
        throughput: Queries per second, asked all at once.
        size_bytes: Of the sample's index, without the vectors for re-scoring.
        build_s: Seconds to build it of the sample.
        growth: Factor on the time of a query from the sample to all rows.
    """

    index: Index
    recall: float
    met: bool
    latency: Quantity
    throughput: Quantity
    size_bytes: int
    build_s: float
    growth: float


@dataclass(frozen=True, kw_only=True)
class Advice:
    """The index to build, and what it was compared with.

    Attributes:
        index: The description to build of all rows.
        reason: Why it was chosen, in a sentence.
        candidates: All that were tried, in their order; none where there are few rows.
        rows: N.
        sample: Rows that the candidates were built of.
        target_recall: What was asked for.
        k: Results per query.
        prefer: What was asked for.
    """

    index: Index
    reason: str
    candidates: tuple[Candidate, ...]
    rows: int
    sample: int
    target_recall: float
    k: int
    prefer: Preference

    def table(self) -> str:
        """The candidates as a Markdown table; times and sizes are those of the sample."""
        lines = [
            f"| index | recall@{self.k} | ms per query | queries/s at once | MiB | build s |",
            "|---|---|---|---|---|---|",
        ]
        for one in self.candidates:
            chosen = " **chosen**" if one.index == self.index else ""
            cells = [
                f"`{one.index!r}`{chosen}",
                f"{one.recall:.3f}{'' if one.met else ' (missed)'}",
                f"{1e3 * one.latency.value:.3f}",
                f"{one.throughput.value:,.0f}",
                f"{one.size_bytes / 2**20:.1f}",
                f"{one.build_s:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)


def advise(
    vectors_ND: NDArray[np.floating],
    queries_QD: NDArray[np.floating] | None = None,
    *,
    target_recall: float = 0.95,
    k: int = 10,
    prefer: Preference = "latency",
    candidates: Sequence[Index] = CANDIDATES,
    sample: int = 50_000,
    fast_enough_s: float = FAST_ENOUGH,
    rounds: int = 7,
    threads: int | None = None,
    seed: int = 0,
    tell: Tell = silent,
) -> Advice:
    """Choose the index that reaches a recall at the least latency or memory.

    An exact search that is fast enough wins where latency or throughput is preferred: it is always
    right, needs no building, and is never out of date. If no candidate reaches the target, an exact
    search is chosen.

    Args:
        vectors_ND: The rows to be searched, [N, D].
        queries_QD: Queries like those that will be asked; None = rows that are held out.
        target_recall: Share of the k best rows that are to be found.
        k: Results per query.
        prefer: "latency" (a query at a time), "throughput" (many at once) or "memory" (the
            smallest index).
        candidates: Descriptions to try; their effort is tuned.
        sample: Rows that candidates are built of, at most.
        fast_enough_s: Seconds per query up to which an exact search wins; 0 = never by that.
        rounds: How often each is timed.
        threads: Threads that build and search, numpy's too; None = all cores.
        seed: What the sample is drawn with.
        tell: Told what is being done.

    Raises:
        ValueError: A setting is out of its range, or a vector or query holds no finite numbers.
        ImportError: `faiss` is missing and a candidate needs it.
    """
    held_ND = checked_vectors(vectors_ND)
    check_number(Share, target_recall, "target_recall")
    for kind, value, place in ((Count, k, "k"), (Count, sample, "sample"), (Seed, seed, "seed")):
        check_number(kind, value, place)
    about = {"rows": len(held_ND), "target_recall": target_recall, "k": k, "prefer": prefer}
    if prefer not in ("latency", "throughput", "memory"):
        raise ValueError(f"prefer: {prefer!r} is not one of latency, throughput, memory")
    if len(held_ND) < SMALL:
        reason = f"fewer than {SMALL:,} rows: an exact search takes microseconds"
        return Advice(index=Exact(), reason=reason, candidates=(), sample=0, **about)  # type: ignore[arg-type]
    rows_SD, queries_QD = _drawn(held_ND, queries_QD, sample, seed)
    # FAISS is told at each call; numpy's products, of the exact search, have no such argument.
    with threadpool_limits(checked_threads(threads) or cores(), user_api="blas"):
        truth = true_answers(rows_SD, queries_QD, k)
        tuned: list[Tuned] = []
        build_s: list[float] = []
        for described in candidates:
            tell(f"building and tuning {described!r}")
            started = time.perf_counter()
            built = described.build(rows_SD, threads=threads)
            build_s.append(time.perf_counter() - started)
            tuned.append(tune(built, truth, target_recall))
        timings = _timed([one.index for one in tuned], truth.queries_QD, k, rounds, tell)
    tried = tuple(
        Candidate(
            index=one.index.description,
            recall=one.recall,
            met=one.met,
            latency=latency,
            throughput=throughput,
            size_bytes=one.index.size_bytes,
            build_s=seconds,
            growth=growth(one.index.description, len(rows_SD), len(held_ND)),
        )
        for one, seconds, latency, throughput in zip(tuned, build_s, *timings, strict=True)
    )
    chosen, reason = choose(tried, prefer, fast_enough_s)
    return Advice(index=chosen, reason=reason, candidates=tried, sample=len(rows_SD), **about)  # type: ignore[arg-type]


def growth(index: Index, sample: int, rows: int) -> float:
    """Factor on the time of a query from `sample` rows to `rows`, by the technique's growth."""
    ratio = rows / sample
    return {
        "linear": ratio,
        "root": math.sqrt(ratio),
        "logarithmic": math.log(max(rows, 2)) / math.log(max(sample, 2)),
    }[index.growth]


def choose(
    candidates: Sequence[Candidate], prefer: Preference, fast_enough_s: float = FAST_ENOUGH
) -> tuple[Index, str]:
    """The best candidate by what is preferred, and why.

    Args:
        candidates: What was tried.
        prefer: As of `advise`.
        fast_enough_s: As of `advise`.

    Returns:
        Its description and a sentence.
    """
    met = [one for one in candidates if one.met]
    if not met:
        return Exact(), "no candidate reached the target: an exact search always does"
    exact = [one for one in met if isinstance(one.index, Exact)]
    if prefer != "memory" and exact and _latency(exact[0]) <= fast_enough_s:
        took = f"{1e3 * _latency(exact[0]):.2f} ms per query"
        return exact[0].index, f"an exact search is fast enough ({took}), and is always right"
    keys: dict[str, Callable[[Candidate], float]] = {
        "latency": _latency,
        "throughput": lambda one: one.growth / one.throughput.value,
        "memory": lambda one: one.size_bytes,
    }
    best = min(met, key=keys[prefer])
    words = {
        "latency": "lowest latency",
        "throughput": "highest throughput",
        "memory": "least memory",
    }
    return best.index, f"the {words[prefer]} of {len(met)} candidates that reached the target"


def _latency(one: Candidate) -> float:
    return one.latency.value * one.growth


def _drawn(
    vectors_ND: NDArray[np.float32],
    queries_QD: NDArray[np.floating] | None,
    sample: int,
    seed: int,
) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
    """Rows of the sample, and queries: the given ones, or other rows."""
    order = np.random.default_rng(seed).permutation(len(vectors_ND))
    held = 0 if queries_QD is not None else min(_QUERIES, len(order) // 10)
    rows_SD = vectors_ND[np.sort(order[held : held + sample])]
    return rows_SD, vectors_ND[order[:held]] if queries_QD is None else queries_QD


def _timed(
    indexes: Sequence[BuiltIndex], queries_QD: NDArray[np.float32], k: int, rounds: int, tell: Tell
) -> tuple[list[Quantity], list[Quantity]]:
    """Seconds per query one at a time, and queries per second all at once, of each index."""
    single = queries_QD[:_SINGLE]

    def one_by_one(index: BuiltIndex) -> Callable[[], object]:
        return lambda: [index.search(query[None], k) for query in single]

    def at_once(index: BuiltIndex) -> Callable[[], object]:
        return lambda: index.search(queries_QD, k)

    alone = interleave(
        {str(n): one_by_one(i) for n, i in enumerate(indexes)}, rounds=rounds, tell=tell
    )
    together = interleave(
        {str(n): at_once(i) for n, i in enumerate(indexes)}, rounds=rounds, tell=tell
    )
    return (
        [_per_query(timing, len(single)) for timing in alone.values()],
        [timing.rate(len(queries_QD)) for timing in together.values()],
    )


def _per_query(timing: Timing, queries: int) -> Quantity:
    return spread([call.wall / queries for call in timing.kept], "s")
