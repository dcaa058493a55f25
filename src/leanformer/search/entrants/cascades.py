"""Cascades of a search: a cheap system answers what it is sure of, and passes the rest on.

    n-grams -> whole teacher        always, and first: both are there before any student is
    n-grams -> student              for each student
    student -> whole teacher        for each student

Each of them is a chain of candidates, from passing on everything (the second system alone) down to
nothing (the first one alone), tested in that order up to the first that is not proven
(`measure.gates`). The students by themselves are a chain too (`measure.fixed_sequence`). The whole
teacher is tested before all chains, with the whole doubt that was allowed; where it is proven the
chains share that doubt equally (Bretz et al. 2009),

    confidence of each = 1 - (1 - confidence) / chains

so that one false promise in all of them is no likelier than was asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanformer.core.identity.digest import digest, short
from leanformer.core.quantity import Quantity
from leanformer.measure.gates import Gated, choose_threshold
from leanformer.measure.promise import Promise
from leanformer.measure.size import served_size
from leanformer.report.units import percent
from leanformer.runtime.gates import find_gate, is_gated, shifted
from leanformer.runtime.systems.cascade import save_cascade
from leanformer.search.contest import Contest
from leanformer.search.entrants.fitted import enter_served
from leanformer.search.entry import NGRAMS, Entry, whole_teacher

_GATE = "margin"
_ENTERED = 2  # cascades that are timed beside the others; the report draws all of them
_DECIMALS = 2
_CHAINS = 4  # with one student: n-grams before the teacher and it, it before the teacher, itself
_STUDENT = 4.0  # times as fast or small as the whole teacher: more than a third of it gives


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Two systems of which the first passes texts on to the second.

    Attributes:
        first: The cheap one.
        second: The dear one.
        gated: What dev says of each share of texts that is passed on.
        cost: Seconds per text at the share that is chosen, by how fast both answered dev; inf where
            none is.
    """

    first: Entry
    second: Entry
    gated: Gated
    cost: float

    @property
    def name(self) -> str:
        """How the record calls the cascade."""
        return f"{self.first.name} → {self.second.name}"

    @property
    def proven(self) -> tuple[str, ...]:
        """Names of the systems that the chain proves: the cascade, or one of both by itself."""
        found = self.gated.proven
        if found is None:
            return ()
        return (self.first.name,) if not found.deferred else (self.name,)


def share_confidence(contest: Contest, chains: Sequence[Chain]) -> float:
    """How sure each chain has to be, so that all together are as sure as was asked.

    Args:
        contest: The contest; its students are one chain, and n-grams that are in none another.
        chains: Those of cascades.
    """
    return _shared(contest, [(chain.first, chain.second) for chain in chains])


def _shared(contest: Contest, pairs: Sequence[tuple[Entry, Entry]]) -> float:
    alone = NGRAMS in contest.entries and all(first.name != NGRAMS for first, _ in pairs)
    chains = len(pairs) + alone + bool(_students(contest))
    return 1 - (1 - contest.request.confidence) / max(1, chains)


def _students(contest: Contest) -> list[Entry]:
    entries = contest.entries.values()
    return [e for e in entries if e.role == "candidate" and e.system == "transformer"]


def enter_cascades(contest: Contest, folder: Path) -> list[Chain]:
    """Let cascades take part: of each chain the one that passes on the fewest texts, if it is
    proven, or its estimate holds; the fastest of them are timed.

    Args:
        contest: All single systems, judged on dev.
        folder: Where cascades are saved.

    Returns:
        All chains, those too of which none takes part.
    """
    pairs = _pairs(contest)
    confidence = _shared(contest, pairs)
    chains = [_chain(contest, first, second, confidence) for first, second in pairs]
    mixed = [one for one in chains if (chosen := one.gated.chosen) and 0 < chosen.rate < 1]
    mixed.sort(key=lambda one: (one.gated.proven is None, one.cost, one.name))
    for chain in chains:
        _record(contest, chain, confidence)
    for chain in mixed[:_ENTERED]:
        _enter(contest, chain, folder)
    return chains


def speed_up_left(contest: Contest, chain: Chain | None) -> float:
    """How many times faster than what n-grams do already a search could become by students at most.

        now               c1 + r c2        r: share that is passed on, proven with the whole doubt
        with a student    c1 + s c2 / 4    s: share that is proven with its part of the doubt

    N-grams take c1 seconds per text, the whole teacher c2, and a student at best a quarter of that
    (`_STUDENT`). A student takes part in three chains beside the one that is there, so that more
    texts have to be passed on; where the cascade is not proven any more, a student would not be
    either. Where n-grams by themselves are proven to keep what is asked, nothing is left.

    A search for size or memory needs no students only where n-grams by themselves are proven, are
    smaller than a student at best (`_STUDENT`), and would lose that proof by sharing the doubt.

    Returns:
        The ratio; 0 where a student would cost the proof that is there; inf where n-grams prove
        nothing, or where size or memory may gain.
    """
    if chain is None:
        return math.inf
    alone = chain.gated.proven
    assert alone is not None
    doubt = (1 - contest.request.confidence) / _CHAINS
    shared = _chain(contest, chain.first, chain.second, 1 - doubt).gated.proven
    if contest.request.goal in ("size", "memory"):
        needless = not alone.deferred and (shared is None or shared.deferred > 0)
        return 0.0 if needless and _much_smaller(chain.first, chain.second) else math.inf
    if shared is None:
        return 0.0
    cheap, dear = (contest.seconds.get(e.name, math.nan) for e in (chain.first, chain.second))
    return (cheap + alone.rate * dear) / (cheap + shared.rate * dear / _STUDENT)


def _much_smaller(first: Entry, second: Entry) -> bool:
    """Whether a system takes less room on disk than a student of the second at best."""
    sizes = [served_size(one.folder, one.backend, one.precision).value for one in (first, second)]
    return _STUDENT * sizes[0] < sizes[1]


def behind_ngrams(contest: Contest, second: Entry) -> Chain | None:
    """N-grams that pass on to `second`, as they would take part now; None where the search has no
    cascades, or dev does not prove that this one keeps what is asked.
    """
    pairs = _pairs(contest)
    for first, other in pairs:
        if first.name == NGRAMS and other is second:
            chain = _chain(contest, first, second, _shared(contest, pairs))
            return None if chain.gated.proven is None else chain
    return None


def _pairs(contest: Contest) -> list[tuple[Entry, Entry]]:
    """First and second system of each chain."""
    if not contest.graphs or contest.request.portable or not is_gated(contest.dataset.task.about):
        return []
    students = _students(contest)
    teacher, ngrams = whole_teacher(contest.entries), contest.entries.get(NGRAMS)
    behind = [(ngrams, second) for second in (teacher, *students) if ngrams is not None]
    return [*behind, *((student, teacher) for student in students)]


def _chain(contest: Contest, first: Entry, second: Entry, confidence: float) -> Chain:
    def judge(outputs: list[Any]) -> Promise:
        return contest.promise_of(contest.judge_dev(outputs), confidence)

    own, theirs = (contest.thresholds(one.judged) for one in (first, second))
    gated = choose_threshold(
        find_gate(_GATE).scores(first.judged.outputs, contest.kind, own),
        shifted(first.judged.outputs, own, theirs),
        second.judged.outputs,
        judge,
    )
    chosen = gated.chosen
    seconds = [contest.seconds.get(one.name, math.inf) for one in (first, second)]
    cost = math.inf if chosen is None else seconds[0] + chosen.rate * seconds[1]
    return Chain(first=first, second=second, gated=gated, cost=cost)


def _enter(contest: Contest, chain: Chain, folder: Path) -> None:
    """Save a cascade, judge it as it is served, and let it take part."""
    chosen = chain.gated.chosen
    assert chosen is not None
    second = chain.second
    contest.describe_entry(second, fast=True)  # it may describe itself as another form
    place = folder / short(digest(chain.name))
    saved = save_cascade(
        place,
        chain.first.folder,
        second.folder,
        names=(chain.first.name, second.name),
        gate=_GATE,
        threshold=chosen.threshold,
        deferred=chosen.deferred,
        texts=chosen.texts,
        overwrite=True,
    )
    contest.describe_entry(second)
    deferral = {"deferral": Quantity(chosen.rate, "")}
    enter_served(contest, chain.name, "candidate", place, deferral, saved.thresholds)
    proven = "proven" if chain.gated.proven else "an estimate that holds"
    contest.say(
        f"cascade {chain.name}: passes on {chosen.rate:.1%} of dev, keeps "
        f"{percent(chosen.promise.kept, _DECIMALS)} of the teacher's quality ({proven})"
    )


def _record(contest: Contest, chain: Chain, confidence: float) -> None:
    gated = chain.gated
    contest.record.write(
        "gate",
        name=chain.name,
        first=chain.first.name,
        second=chain.second.name,
        gate=_GATE,
        confidence=confidence,
        rows=[
            {
                "rate": row.rate,
                "threshold": row.threshold,
                "kept": row.promise.kept,
                "lower": row.promise.lower,
                "proven": row.promise.proven,
            }
            for row in gated.rows
        ],
        rate=None if gated.chosen is None else gated.chosen.rate,
        proven=gated.proven is not None,
    )
