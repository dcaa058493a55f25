"""Which rung comes first, and whether there is time for one, by what others took."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search.toy import contest_of

from leanformer.measure.gates import Deferral, Gated
from leanformer.measure.promise import Promise
from leanformer.search.clock import Clock
from leanformer.search.entrants.chains import Chain
from leanformer.search.entry import TEACHER
from leanformer.search.students.climb import Trial
from leanformer.search.students.decisions import Decisions
from leanformer.search.students.ladder import WIDTHS, Rung, ladder

RUNGS = ladder(6)
NAMES = [rung.name for rung in RUNGS]


@pytest.fixture
def decide(tmp_path: Path) -> Decisions:
    """Decisions of a search for students of six layers, with all the time there is."""
    contest = contest_of(tmp_path, "classification")
    contest.request = replace(contest.request, augment=0, keep=0.97)
    return Decisions(contest, provable=True, layers=6)


def with_free(decide: Decisions, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so many seconds be free; the teacher answers a text in one."""
    decide.contest.clock = Clock(decide.contest.record, 60.0)
    decide.contest.clock.answers[TEACHER] = 1.0
    monkeypatch.setattr(Clock, "free", seconds)


def test_it_begins_where_the_promise_is_likely_to_be_kept(decide: Decisions) -> None:
    assert NAMES[decide.first(RUNGS)] == "L4-h100-f50"
    assert [one["name"] for one in decide.contest.known("first")] == ["L4-h100-f50"]


def test_a_search_that_is_resumed_begins_where_it_began(
    decide: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = decide.first(RUNGS)
    with_free(decide, 0.0, monkeypatch)
    assert decide.first(RUNGS) == place
    assert len(decide.contest.known("first")) == 1
    assert decide.first(RUNGS[:2]) == 1  # another ladder, without that rung, and no time


def test_with_little_time_it_begins_nearer_to_the_teacher(
    decide: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 texts of 1 s: 30 epochs * 16 * (3 * share + 1/2) s, a third of which has to be free."""
    whole = 30 * 16 / 3
    with_free(decide, whole * (3 * 4 / 9 + 0.5) - 1, monkeypatch)  # too little for L4-h100-f50
    assert NAMES[decide.first(RUNGS)] == "L6-h100-f50"  # two thirds of the epochs
    decide.contest.record.path.unlink()
    with_free(decide, 1.0, monkeypatch)  # L5-h100-f100 would gain too little
    assert NAMES[decide.first(RUNGS)] == "L6-h100-f50"


def trained(decide: Decisions, rung: Rung, epochs: float, seconds: float) -> Trial:
    """A trial whose steps the record tells of."""
    settings: dict[str, Any] = {"train": {"epochs": epochs}}
    decide.contest.record.write(
        "step", model=rung.name, step="distill", settings=settings, seconds=seconds
    )
    return Trial(rung=rung, quality=0.9, kept=False, seconds=seconds)


def test_time_is_foretold_by_the_student_before(
    decide: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, five = Rung(layers=3), Rung(layers=5)
    trial = trained(decide, half, epochs=15.0, seconds=150.0)
    each = 150 / (15 * (3 / 2 + 0.5))  # seconds per epoch and pass
    needed = each * (1 / 3 * 30) * (3 * 5 / 6 + 0.5) / 3  # a third of ten epochs
    with_free(decide, needed + 0.1, monkeypatch)
    assert decide.affordable(five, None, [trial])
    assert decide.affordable(five, None, [])  # the first is always tried
    with_free(decide, needed - 0.1, monkeypatch)
    assert not decide.affordable(five, None, [trial])
    assert decide.affordable(five, None, [])


def test_what_was_decided_stays_decided(decide: Decisions, monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(decide, -1.0, monkeypatch)
    kept, skipped = RUNGS[:2]
    decide.contest.record.write("choice", name=kept.name, decision="kept", reason="")
    decide.skip(skipped)
    trial = trained(decide, RUNGS[0], epochs=1.0, seconds=5.0)
    assert decide.affordable(kept, None, [trial])
    assert not decide.affordable(skipped, None, [])


def test_a_gain_is_of_time_as_it_was_measured(decide: Decisions) -> None:
    assert decide.worthwhile(Rung(layers=4), Rung(layers=3))
    times = dict.fromkeys(WIDTHS, 1.0)
    measured = replace(decide, times=times)
    assert not measured.worthwhile(Rung(layers=4), Rung(layers=4, ffn=0.5))
    assert measured.worthwhile(Rung(layers=4), Rung(layers=3))


def promise(kept: float, lower: float) -> Promise:
    return Promise(
        metric="accuracy", examples=1000, teacher=0.9, student=0.9 * kept, kept=kept, lower=lower,
        keep=0.97, confidence=0.9, needed=None, method="made up",
    )  # fmt: skip


def chain(rate: float, *rows: tuple[float, float]) -> Chain:
    """N-grams that pass on a share of the texts; what is proven at other shares."""

    def at(share: float, lower: float) -> Deferral:
        return Deferral(
            asked=share,
            deferred=round(1000 * share),
            texts=1000,
            threshold=0.5,
            promise=promise(0.99, lower),
        )

    tested = tuple(at(*row) for row in rows)
    gated = Gated(rows=tested, proven=at(rate, 0.98), holds=at(rate, 0.98))
    return Chain(first=None, second=None, gated=gated, cost=1.0)  # type: ignore[arg-type]


def test_behind_ngrams_a_search_begins_with_a_smaller_student(decide: Decisions) -> None:
    decide = replace(decide, teacher_behind=chain(0.1, (1.0, 1.0), (0.1, 0.975), (0.05, 0.96)))
    assert NAMES[decide.first(RUNGS)] == "L3-h100-f50"  # it may lose 5 % of a tenth


def test_a_student_is_kept_where_it_makes_ngrams_faster(decide: Decisions) -> None:
    short = promise(0.95, 0.94)
    decide = replace(decide, teacher_behind=chain(0.1))
    half = Rung(layers=3)
    assert decide.keep(half, short, chain(0.15))
    (event,) = decide.contest.known("choice")
    assert event["reason"].endswith(
        "Behind n-grams that pass 15.0 % of the texts on to it, 99.00 %, at least 98.00 %"
    )
    assert not decide.keep(Rung(layers=4), short, chain(0.16))  # two thirds of 0.16 is no gain
    assert not decide.keep(Rung(layers=2), short)
