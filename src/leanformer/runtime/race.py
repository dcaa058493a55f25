"""Let the backends of a folder race on this machine, and note the winner.

Each candidate first runs once in a subprocess. Those that live answer the caller's texts side by
side in rounds (A B C, A B C, …), so that a busy moment hurts all alike, and the fastest that still
answers like PyTorch wins.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leanformer.runtime.agreement import agreement
from leanformer.runtime.manifest import Manifest, read_manifest, write_manifest
from leanformer.runtime.opening import open_session
from leanformer.runtime.predictor import Predictor
from leanformer.runtime.session import BACKENDS, PRECISIONS, Backend, Precision, graph_file
from leanformer.runtime.smoke import smoke_test
from leanformer.runtime.tokenizer import open_tokenizer

Candidate = tuple[Backend, Precision]


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one candidate did; the fields of the record's `backends` event.

    Attributes:
        backend: The backend.
        precision: Its precision.
        throughput: Texts a second, median of the rounds; None where it did not run.
        latency: Seconds for one text, median; None where it did not run.
        agreement: With PyTorch fp32: see `agreement`; None where it did not run.
        chosen: Whether it won.
        reason: Why it was chosen, or why not.
    """

    backend: Backend
    precision: Precision
    throughput: float | None = None
    latency: float | None = None
    agreement: float | None = None
    chosen: bool = False
    reason: str = ""


def race(
    folder: Path,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    candidates: Sequence[Candidate] | None = None,
    least_agreement: float = 0.95,
    rounds: int = 5,
    threads: int | None = None,
) -> list[Row]:
    """Race, write the winner into `leanformer.json`, and tell how each candidate did.

    Args:
        folder: A folder with `leanformer.json`; every graph in it is a candidate unless named.
        texts: What is like the texts to be served; about a hundred.
        pairs: Their second texts.
        candidates: Backends and precisions; PyTorch fp32 takes part in any case, as the reference.
        least_agreement: Who agrees less with PyTorch fp32 cannot win.
        rounds: How often each answers all texts.
        threads: As many as there are cores, unless given.

    Raises:
        ValueError: There are no texts.
    """
    if not texts:
        raise ValueError("texts: the race needs some that look like those to be served")
    manifest = read_manifest(folder)
    listed = list(candidates) if candidates is not None else candidates_of(manifest)
    if ("pytorch", "fp32") not in listed:
        listed.append(("pytorch", "fp32"))
    reasons = {c: smoke_test(folder, *c) for c in listed if c != ("pytorch", "fp32")}
    alive = [candidate for candidate in listed if not reasons.get(candidate)]
    runners = {candidate: _runner(folder, manifest, candidate, threads) for candidate in alive}
    answers = {c: runner.outputs(texts, pairs) for c, runner in runners.items()}
    reference = answers["pytorch", "fp32"]
    rates, singles = _timed(runners, texts, pairs, rounds)
    rows = [
        Row(
            backend=candidate[0],
            precision=candidate[1],
            throughput=rates[candidate],
            latency=singles[candidate],
            agreement=agreement(manifest.kind, reference, answers[candidate]),
        )
        if candidate in runners
        else Row(backend=candidate[0], precision=candidate[1], reason=reasons[candidate])
        for candidate in listed
    ]
    rows = decide(rows, least_agreement)
    winner = next(row for row in rows if row.chosen)
    table = tuple(vars(row) for row in rows)
    won = replace(manifest, backend=winner.backend, precision=winner.precision, race=table)
    write_manifest(folder, won)
    return rows


def candidates_of(manifest: Manifest) -> list[Candidate]:
    """The graphs in a folder, and PyTorch in bf16 and fp32."""
    pairs: list[Candidate] = [(b, p) for b in BACKENDS for p in PRECISIONS]  # type: ignore[misc]
    return [
        (backend, precision)
        for backend, precision in pairs
        if (backend, precision) != ("pytorch", "int8")
        and graph_file(Path(), backend, precision).as_posix() in manifest.files
    ]


def decide(rows: Sequence[Row], least_agreement: float) -> list[Row]:
    """The rows with the fastest acceptable one marked, and a reason for each."""
    fair = [r for r in rows if r.throughput and (r.agreement or 0) >= least_agreement]
    best = max(fair, key=lambda row: row.throughput or 0)
    return [replace(row, chosen=row is best, reason=_reason(row, best, fair)) for row in rows]


def _reason(row: Row, best: Row, fair: list[Row]) -> str:
    if row is best:
        return "the fastest that answers like PyTorch"
    if row.throughput is None:
        return row.reason
    if row not in fair:
        return f"answers too differently from PyTorch ({row.agreement:.3f})"
    assert best.throughput is not None
    return f"{best.throughput / row.throughput:.2f} times slower than the chosen one"


def _runner(folder: Path, manifest: Manifest, one: Candidate, threads: int | None) -> Predictor:
    session = open_session(folder, *one, threads)
    return Predictor(session, open_tokenizer(folder), manifest)


def _timed(
    runners: dict[Candidate, Predictor],
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    rounds: int,
) -> tuple[dict[Candidate, float], dict[Candidate, float]]:
    single = None if pairs is None else pairs[:1]
    batch: dict[Candidate, list[float]] = {name: [] for name in runners}
    one: dict[Candidate, list[float]] = {name: [] for name in runners}
    for _ in range(rounds):
        for name, runner in runners.items():
            start = time.perf_counter()
            runner.outputs(texts, pairs)
            middle = time.perf_counter()
            runner.outputs(texts[:1], single)
            batch[name].append(middle - start)
            one[name].append(time.perf_counter() - middle)
    rates = {name: len(texts) / statistics.median(seconds) for name, seconds in batch.items()}
    return rates, {name: float(np.median(seconds)) for name, seconds in one.items()}
