"""What may be chosen beside single systems, in which order it is tested, and who shares the doubt.

    n-grams -> whole teacher        always, and first: both are there before any student is
    n-grams -> student              for each student
    student -> whole teacher        for each student, unless n-grams lead
    students by themselves          unless n-grams lead

Each of them is a chain of candidates, from passing on everything (the second system alone) down to
nothing (the first one alone), tested in that order up to the first that is not proven
(`measure.gates`); the last one by the students' costs (`measure.fixed_sequence`). The whole teacher
is tested before all chains, with the whole doubt that was allowed; where it is proven the chains
share that doubt equally (Bretz et al. 2009),

    confidence of each = 1 - (1 - confidence) / chains

so that one false promise in all of them is no likelier than was asked for.

Doubt is dear: on 1,000 texts of Banking77, 99 % is proven with 6 % of the texts passed on where two
chains share it, and with 25 % where four do. So what cannot win is not tested. Training texts
decide that, before dev is looked at (`expected_rate`):

    n-grams lead        they are expected to pass on at most 40 % of the texts, and it is time that
                        counts: a student by itself, or before the teacher, will be slower
    n-grams -> student  is tested from twice the expected rate down, and not from the student alone,
                        which may keep too little of the texts that n-grams are sure of
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leanformer.measure.gates import RATES, Gated, choose_threshold
from leanformer.measure.promise import Promise
from leanformer.measure.size import served_size
from leanformer.runtime.gates import find_gate, is_gated, shifted
from leanformer.search.contest import Contest
from leanformer.search.entrants.expected_rate import GATE, expected_rate
from leanformer.search.entry import NGRAMS, Entry, whole_teacher

_CHAINS = 4  # with one student: n-grams before the teacher and it, it before the teacher, itself
_BY_TIME = ("throughput", "latency")  # goals
_LEADING = 2  # of those, where n-grams lead
_LEAD = 0.4  # expected rate; what dev proves is half of that, and five times as fast as the teacher
_BEGIN = 2.0  # times the expected rate
_STUDENT = 2.2  # times as fast as the whole teacher: half of its layers with half of their neurons
_SMALL = 4.0  # times as small as it: less than what a third of its layers takes


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


def judge_chains(contest: Contest) -> list[Chain]:
    """All chains of two systems that are tested, each with its part of the doubt."""
    pairs = _pairs(contest)
    confidence = _shared(contest, pairs)
    return [_chain(contest, first, second, confidence) for first, second in pairs]


def share_confidence(contest: Contest, chains: Sequence[Chain]) -> float:
    """How sure each chain has to be, so that all together are as sure as was asked.

    Args:
        contest: The contest; its students are one chain, and n-grams that are in none another.
        chains: Those of cascades.
    """
    return _shared(contest, [(chain.first, chain.second) for chain in chains])


def _shared(contest: Contest, pairs: Sequence[tuple[Entry, Entry]]) -> float:
    alone = NGRAMS in contest.entries and all(first.name != NGRAMS for first, _ in pairs)
    chains = len(pairs) + alone + students_compete(contest)
    return 1 - (1 - contest.request.confidence) / max(1, chains)


def ngrams_lead(contest: Contest) -> bool:
    """Whether students are tested behind n-grams alone, since these are expected to pass on so few
    texts that everything else will be slower.
    """
    if NGRAMS not in contest.entries or not _has_cascades(contest):
        return False
    return contest.request.goal in _BY_TIME and expected_rate(contest) <= _LEAD


def students_compete(contest: Contest) -> bool:
    """Whether there are students that are tested by themselves, and before the teacher."""
    return bool(_students(contest)) and not ngrams_lead(contest)


def _students(contest: Contest) -> list[Entry]:
    entries = contest.entries.values()
    return [e for e in entries if e.role == "candidate" and e.system == "transformer"]


def speed_up_left(contest: Contest, chain: Chain | None) -> float:
    """How many times faster than what n-grams do already a search could become by students at most.

        now               c1 + r c2          r: share that is passed on, proven with the whole doubt
        with a student    c1 + s c2 / 2.2    s: share that is proven with its part of the doubt

    N-grams take c1 seconds per text, the whole teacher c2, and a good student c2 / 2.2
    (`_STUDENT`). A student takes part in one chain beside the one that is there, or in three unless
    n-grams lead, so that more texts have to be passed on; where the cascade is not proven any more,
    a student would not be either. Where n-grams by themselves are proven to keep what is asked,
    nothing is left.

    This looks at dev before it is decided how many chains there are. At worst a promise is wrong
    almost twice as often as was asked: where students were trained because of what dev says, by the
    students' part of the doubt more.

    A search for size or memory needs no students only where n-grams by themselves are proven, are
    smaller than a student at best (`_SMALL`), and would lose that proof by sharing the doubt.

    Returns:
        The ratio; 0 where a student would cost the proof that is there; inf where n-grams prove
        nothing, or where size or memory may gain.
    """
    if chain is None:
        return math.inf
    alone = chain.gated.proven
    assert alone is not None
    by_time = contest.request.goal in _BY_TIME
    if by_time and not alone.deferred:
        return 1.0
    if not by_time and (alone.deferred or not _much_smaller(chain.first, chain.second)):
        return math.inf
    doubt = (1 - contest.request.confidence) / (_LEADING if ngrams_lead(contest) else _CHAINS)
    shared = _chain(contest, chain.first, chain.second, 1 - doubt).gated.proven
    if not by_time:
        return 0.0 if shared is None or shared.deferred else math.inf
    if shared is None:
        return 0.0
    cheap, dear = (contest.seconds.get(e.name, math.nan) for e in (chain.first, chain.second))
    return (cheap + alone.rate * dear) / (cheap + shared.rate * dear / _STUDENT)


def _much_smaller(first: Entry, second: Entry) -> bool:
    """Whether a system takes less room on disk than a student of the second at best."""
    sizes = [served_size(one.folder, one.backend, one.precision).value for one in (first, second)]
    return _SMALL * sizes[0] < sizes[1]


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
    if not _has_cascades(contest):
        return []
    students = _students(contest)
    teacher, ngrams = whole_teacher(contest.entries), contest.entries.get(NGRAMS)
    behind = [(ngrams, second) for second in (teacher, *students) if ngrams is not None]
    before = [(student, teacher) for student in students] if students_compete(contest) else []
    return behind + before


def _has_cascades(contest: Contest) -> bool:
    gated = is_gated(contest.dataset.task.about)
    return contest.graphs and not contest.request.portable and gated


def _rates(contest: Contest, first: Entry, second: Entry) -> Sequence[float]:
    """Shares to be passed on, in the order of the tests."""
    if first.name != NGRAMS or second is whole_teacher(contest.entries):
        return RATES
    begin = _BEGIN * expected_rate(contest)
    return [rate for rate in RATES if rate <= begin]


def _chain(contest: Contest, first: Entry, second: Entry, confidence: float) -> Chain:
    def judge(outputs: list[Any]) -> Promise:
        return contest.promise_of(contest.judge_dev(outputs), confidence)

    own, theirs = (contest.thresholds(one.judged) for one in (first, second))
    gated = choose_threshold(
        find_gate(GATE).scores(first.judged.outputs, contest.kind, own),
        shifted(first.judged.outputs, own, theirs),
        second.judged.outputs,
        judge,
        rates=_rates(contest, first, second),
    )
    chosen = gated.chosen
    seconds = [contest.seconds.get(one.name, math.inf) for one in (first, second)]
    cost = math.inf if chosen is None else seconds[0] + chosen.rate * seconds[1]
    return Chain(first=first, second=second, gated=gated, cost=cost)
