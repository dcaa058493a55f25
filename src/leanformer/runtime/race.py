"""Let the backends of a folder race on this machine, and note the winner.

Each candidate first runs once in a child process. Those that survive answer the caller's texts in
turn, round by round (A B C, A B C, ...), from strings to outputs, so that a busy moment hurts all
alike. The winner is the fastest whose answers agree with those of the reference (of a transformer,
PyTorch in fp32) and do not change with the other texts of a batch; or, where a form was chosen by
its size, that form.
"""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from leanformer.runtime.manifest import Manifest, read_manifest, write_manifest
from leanformer.runtime.proofs.agreement import agreement
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.serving.predictor import Predictor
from leanformer.runtime.serving.smoke import Smoke, smoke_test
from leanformer.runtime.session import Precision
from leanformer.runtime.system import Outputs
from leanformer.runtime.systems import find_system

Candidate = tuple[str, Precision]
By = Literal["throughput", "latency"]
"""What a race is decided by: many texts in one call, or one text."""

_MOST_CHANGE = {"fp32": 1e-3, "bf16": 0.05, "int8": 0.05}  # of the largest output, by neighbours
_DEPENDENT = "its answers change with the other texts of a batch"
_WHY: dict[By, str] = {
    "throughput": "the fastest that answers like PyTorch",
    "latency": "the one with the lowest latency that answers like PyTorch",
}
_WHY_KEPT = "the form that was measured and chosen; it answers like PyTorch"


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one candidate did; the fields of the record's `backends` event.

    Attributes:
        backend: The backend.
        precision: Its precision.
        throughput: Texts per second from strings, median of the rounds; None where it did not run.
        throughput_one_thread: The same with one thread.
        latency: Seconds for one text, median; None where it did not run.
        agreement: With the reference, PyTorch fp32: see `agreement`; None where it did not run.
        batch_dependent: Whether an answer changes with the other texts of its batch.
        chosen: Whether it won.
        reason: Why it was chosen, or why not.
    """

    backend: str
    precision: Precision
    throughput: float | None = None
    throughput_one_thread: float | None = None
    latency: float | None = None
    agreement: float | None = None
    batch_dependent: bool = False
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
    batch_dependent: bool = False,
    by: By = "throughput",
    kept: Candidate | None = None,
) -> list[Row]:
    """Race, write the winner into `leanformer.json`, and tell how each candidate did.

    Args:
        folder: A folder with `leanformer.json`; every graph in it is a candidate unless named.
        texts: About a hundred texts like those to be served.
        pairs: Their second texts.
        candidates: Backends and precisions; of a transformer PyTorch fp32 takes part in any case,
            as the reference. A system that comes in one form only wins its race.
        least_agreement: A candidate that agrees less with the reference cannot win.
        rounds: How many times each candidate answers all texts.
        threads: As many as there are cores, unless given.
        batch_dependent: Allow candidates to win whose answers change with the other texts of a
            batch.
        by: What decides: texts per second, or the latency of one text.
        kept: The candidate that wins, however fast others are, if its answers agree; None = the
            fastest.

    Raises:
        ValueError: There are no texts, or PyTorch fp32 answers them with NaN.
        PassingFault: There was no memory, thread or disk to try a candidate.
    """
    texts, pairs = list(texts), None if pairs is None else list(pairs)
    if not texts:
        raise ValueError("texts: the race needs some that look like those to be served")
    manifest = read_manifest(folder)
    kind = find_system(manifest.system)
    listed = list(candidates) if candidates is not None else kind.candidates(manifest)
    reference = kind.reference(manifest)
    if reference not in listed:
        listed.append(reference)
    drafts = {one: _tried(folder, manifest, one, batch_dependent) for one in listed}
    running = [one for one, draft in drafts.items() if not draft.reason]
    runners = {one: Predictor(open_system(folder, *one, threads)) for one in running}
    answers = {one: runner.answer(texts, pairs) for one, runner in runners.items()}
    rates, singles = _timed(runners, texts, pairs, rounds)
    alone = {one: Predictor(open_system(folder, *one, 1)) for one in running}
    slow, _ = _timed(alone, texts, pairs, max(1, rounds // 2))
    for one in running:
        drafts[one] = replace(
            drafts[one],
            throughput=rates[one],
            throughput_one_thread=slow[one],
            latency=singles[one],
            agreement=_agreement(manifest, answers[reference], answers[one]),
        )
    rows = decide([drafts[one] for one in listed], least_agreement, by=by, kept=kept)
    write_manifest(folder, _with_winner(manifest, rows))
    return rows


def _with_winner(manifest: Manifest, rows: Sequence[Row]) -> Manifest:
    winner = next(row for row in rows if row.chosen)
    return replace(
        manifest,
        backend=winner.backend,
        precision=winner.precision,
        race=tuple(vars(row) for row in rows),
        batch_dependent=winner.batch_dependent,
    )


def decide(
    rows: Sequence[Row],
    least_agreement: float,
    *,
    by: By = "throughput",
    kept: Candidate | None = None,
) -> list[Row]:
    """The rows with the best acceptable one marked, and a reason for each; see `race`.

    Raises:
        ValueError: Not even PyTorch fp32 is acceptable: its outputs are not finite.
    """
    fair = [r for r in rows if r.throughput and (r.agreement or 0) >= least_agreement]
    if not fair:
        raise ValueError(
            "race: PyTorch fp32 itself answers these texts with numbers that are not finite, so "
            "there is nothing to agree with; look at the model's weights"
        )
    asked = [row for row in fair if (row.backend, row.precision) == kept]
    best = asked[0] if asked else min(fair, key=lambda row: _seconds(row, by))
    why = _WHY_KEPT if asked else _WHY[by]
    return [
        replace(row, chosen=True, reason=why)
        if row is best
        else replace(row, chosen=False, reason=_why_not(row, best, fair, by))
        for row in rows
    ]


def _seconds(row: Row, by: By) -> float:
    """Seconds per text, of many or of one; inf where it was not timed."""
    if by == "latency":
        return row.latency or math.inf
    return 1 / row.throughput if row.throughput else math.inf


def _tried(folder: Path, manifest: Manifest, candidate: Candidate, batch_dependent: bool) -> Row:
    """A row whose reason is why the candidate does not run; "" where it does."""
    backend, precision = candidate
    row, kind = Row(backend=backend, precision=precision), find_system(manifest.system)
    if candidate == kind.reference(manifest):
        return row
    found: Smoke = smoke_test(folder, backend, precision)
    if found.reason:
        return replace(row, reason=found.reason)
    chosen = replace(manifest, backend=backend, precision=precision)
    dependent = kind.depends_on_batch(folder, chosen)
    if dependent and not batch_dependent:
        reason = f"{_DEPENDENT}; ask for it (batch_dependent) if that may be"
        return replace(row, batch_dependent=True, reason=reason)
    if not dependent and (found.change or 0.0) > _MOST_CHANGE.get(precision, 0.05):
        return replace(row, reason=f"{_DEPENDENT}, by {found.change:.1%} of the largest output")
    return replace(row, batch_dependent=dependent)


def _why_not(row: Row, best: Row, fair: list[Row], by: By) -> str:
    if row.throughput is None:
        return row.reason
    if row not in fair:
        return f"answers too differently from PyTorch ({row.agreement:.3f})"
    ratio = _seconds(row, by) / _seconds(best, by)
    slower = f"{ratio:.2f} times slower" if ratio >= 1 else f"{1 / ratio:.2f} times faster"
    return f"{slower} than the chosen one"


def _agreement(manifest: Manifest, reference: Outputs, other: Outputs) -> float:
    """Agreement with the reference; 0 where an answer is not a number.

    Logits of -inf are answers (a word that was not read, a class that never was in the data), but
    only where the reference has them too.
    """
    for theirs, ours in zip(reference, other, strict=True):
        wrong = np.isnan(ours) | np.isposinf(ours)
        if wrong.any() or (np.isneginf(ours) != np.isneginf(theirs)).any():
            return 0.0
    return agreement(manifest.kind, reference, other)


def _timed(
    runners: dict[Candidate, Predictor],
    texts: list[str],
    pairs: list[str] | None,
    rounds: int,
) -> tuple[dict[Candidate, float], dict[Candidate, float]]:
    """Texts per second, and seconds of a single text, each the median of the rounds."""
    single = None if pairs is None else pairs[:1]
    batch: dict[Candidate, list[float]] = {name: [] for name in runners}
    one: dict[Candidate, list[float]] = {name: [] for name in runners}
    for turn in range(rounds + 1):
        for name, runner in runners.items():
            seconds = _clock(partial(runner.answer, texts, pairs))
            latency = _clock(partial(runner.answer, texts[:1], single))
            if turn:  # the first round makes kernels
                batch[name].append(seconds)
                one[name].append(latency)
    rates = {name: len(texts) / statistics.median(seconds) for name, seconds in batch.items()}
    return rates, {name: statistics.median(seconds) for name, seconds in one.items()}


def _clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
