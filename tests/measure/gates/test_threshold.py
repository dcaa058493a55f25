"""How few texts have to be passed on: against brute force, and how often the promise is false."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanformer.measure.gates import RATES, Gated, choose_threshold
from leanformer.measure.promise import Promise, judge_promise
from leanformer.numerics.metrics import Accuracy

TEACHER = 0.9


def promise(kept: float, lower: float, keep: float = 0.97) -> Promise:
    return Promise(
        metric="accuracy",
        examples=100,
        teacher=TEACHER,
        student=TEACHER * kept,
        kept=kept,
        lower=lower,
        keep=keep,
        confidence=0.9,
        needed=None,
        method="",
    )


def marked(value: float, texts: int) -> list[Any]:
    return [np.array([value], np.float32) for _ in range(texts)]


def gated(scores: Any, judge: Any, **named: Any) -> Gated:
    """Of outputs that say who gave them: 0 the first, 1 the second."""
    return choose_threshold(scores, marked(0, len(scores)), marked(1, len(scores)), judge, **named)


def by_share(lowest: float) -> Any:
    """A judge that proves what has at least this share of the second system's answers."""

    def judge(outputs: Any) -> Promise:
        share = round(float(np.mean(outputs)), 4)
        return promise(0.98, 0.97 if share >= lowest else 0.96)

    return judge


def test_the_last_proven_rate_is_chosen_and_its_threshold_passes_on_so_many() -> None:
    scores = np.random.default_rng(0).permutation(1000) / 1000
    found = gated(scores, by_share(0.055))
    assert found.proven is not None
    assert (found.proven.asked, found.proven.deferred, found.proven.texts) == (0.06, 60, 1000)
    assert (scores < found.proven.threshold).sum() == 60
    assert found.holds is found.rows[-1]
    assert (found.holds.rate, found.holds.threshold) == (0, -np.inf)
    assert found.chosen is found.proven
    assert [row.asked for row in found.rows] == list(RATES)
    assert found.rows[0].threshold == np.inf


def test_where_not_even_the_second_system_is_proven_the_estimate_is_told() -> None:
    found = gated(np.arange(100.0), by_share(2))
    assert found.proven is None
    assert found.chosen is found.holds is not None
    never = gated(np.arange(100.0), lambda outputs: promise(0.9, 0.8))
    assert (never.proven, never.holds, never.chosen, len(never.rows)) == (None, None, None, 1)


def test_a_rate_behind_one_that_failed_is_not_taken() -> None:
    def judge(outputs: Any) -> Promise:
        share = round(float(np.mean(outputs)), 4)
        return promise(0.98 if share != 0.2 else 0.9, 0.97 if share not in (0.2, 0.5) else 0.9)

    found = gated(np.arange(1000.0), judge)
    assert found.proven is not None
    assert found.holds is not None
    assert (found.proven.rate, found.holds.rate) == (0.6, 0.25)
    assert found.rows[-1].rate == 0.2  # nothing is judged behind it


SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, np.inf]), min_size=1, max_size=30)


@given(SCORES, st.floats(0, 1))
def test_it_equals_brute_force_with_ties(scores: list[float], lowest: float) -> None:
    seen: list[int] = []

    def judge(outputs: Any) -> Promise:
        seen.append(int(np.sum(outputs)))
        return by_share(lowest)(outputs)

    found = gated(scores, judge)
    # every threshold that there is: the numbers of texts that can be passed on
    possible = sorted({sum(s <= bar for s in scores) for bar in scores} | {0})
    expected: list[int] = []
    for rate in RATES:
        fewest = next(count for count in possible if count >= rate * len(scores) - 1e-6)
        if not expected or expected[-1] != fewest:
            expected.append(fewest)
    assert seen == [row.deferred for row in found.rows] == expected
    assert seen == sorted(set(seen), reverse=True)  # never more than before
    for row in found.rows:
        assert sum(score < row.threshold for score in scores) == row.deferred or (
            row.threshold == np.inf and row.deferred == len(scores)
        )
    proven = [count for count in expected if count / len(scores) >= lowest]
    assert (found.proven.deferred if found.proven else None) == (proven[-1] if proven else None)


def test_neighboring_floats_are_told_apart() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    found = gated([low, high], by_share(0.5), rates=(1.0, 0.5))
    assert found.proven is not None
    assert low < found.proven.threshold <= high


def test_one_false_promise_in_ten_although_many_rates_are_tried() -> None:
    """The first system errs more often, whatever its score: at 0.4 the truth is just too little."""
    rng, metric, false, runs = np.random.default_rng(0), Accuracy(), 0, 60
    for _ in range(runs):
        texts = 400
        gold = np.zeros(texts, int)
        second, first = rng.random(texts) < 0.1, rng.random(texts) < 0.19
        teacher = metric.statistics(second.astype(int), gold)

        def judge(outputs: Any, gold: Any = gold, teacher: Any = teacher) -> Promise:
            answers = np.concatenate(outputs).astype(int)
            return judge_promise(
                metric, teacher, metric.statistics(answers, gold), keep=0.95, resamples=500
            )

        given = [[np.array([wrong], np.float32) for wrong in part] for part in (first, second)]
        found = choose_threshold(rng.random(texts), *given, judge)
        # passing on a share r keeps 1 - 0.1 (1 - r) of the teacher's 0.9: 0.95 at one half
        false += found.proven is not None and found.proven.rate < 0.5
    assert false / runs <= 0.1 + 2 * (0.1 * 0.9 / runs) ** 0.5


@pytest.mark.parametrize(
    ("scores", "first", "second", "rates", "message"),
    [
        ([], 0, 0, RATES, "0, 0, 0 texts; give the same dev texts of each, at least one"),
        ([1.0], 1, 2, RATES, "1, 1, 2 texts"),
        ([1.0, np.nan], 2, 2, RATES, r"scores\[1\] is NaN"),
        ([1.0], 1, 1, (), "do not fall from at most 1"),
        ([1.0], 1, 1, (0.5, 0.5), "do not fall"),
        ([1.0], 1, 1, (1.5, 0.5), "do not fall"),
    ],
)
def test_refusals(scores: Any, first: int, second: int, rates: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_threshold(scores, marked(0, first), marked(1, second), by_share(0), rates=rates)
