import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from leanformer.core.record import Record, read
from leanformer.measure.promise import Promise, judge_promise
from leanformer.numerics.metrics import Accuracy, MacroF1, Matthews, Metric, Pearson, Spearman


def accuracy(wrong: int, size: int, **settings: Any) -> Promise:
    """Of a teacher who is always right and a student who is wrong so many times."""
    right = np.arange(size) >= wrong
    rows = [Accuracy().statistics(side, np.ones(size)) for side in (np.ones(size), right)]
    return judge_promise(Accuracy(), *rows, **settings)


def test_fifty_equal_answers_prove_nothing_about_99_percent() -> None:
    found = accuracy(0, 50, keep=0.99)
    assert (found.kept, found.holds, found.proven) == (1, True, False)
    assert found.lower == pytest.approx(0.1 ** (1 / 50), abs=0.003)
    assert found.needed == pytest.approx(np.log(0.1) / np.log(0.99), rel=0.1)
    assert accuracy(0, 300, keep=0.99).proven


@pytest.mark.parametrize(("wrong", "size"), [(0, 100), (1, 200), (5, 1000), (20, 2500)])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_needed_examples_are_about_what_the_exact_bound_needs(
    wrong: int, size: int, confidence: float
) -> None:
    needed = accuracy(wrong, size, keep=0.99, confidence=confidence).needed
    sizes = np.arange(10, 20_000)
    errors = wrong / size * sizes
    exact = sizes[1 - beta.ppf(confidence, errors + 1, sizes - errors) >= 0.99][0]
    assert needed == pytest.approx(exact, rel=0.12)


@given(st.integers(0, 30), st.integers(31, 400), st.floats(0.5, 1), st.floats(0.55, 0.99))
def test_a_promise_agrees_with_itself(
    wrong: int, size: int, keep: float, confidence: float
) -> None:
    found = accuracy(wrong, size, keep=keep, confidence=confidence, resamples=300)
    assert found.lower <= found.kept
    assert found.proven <= found.holds
    assert (found.needed is None) == (found.kept <= keep + 1e-9)
    if found.needed is not None:
        assert (found.needed <= size) == found.proven


@pytest.mark.parametrize("metric", [Accuracy(), MacroF1(3), Matthews(3), Pearson(), Spearman()])
def test_equality_is_never_proven_for_an_identical_student(metric: Metric) -> None:
    values = np.random.default_rng(0).integers(0, 3, 5000)
    rows = metric.statistics(values, values)
    found = judge_promise(metric, rows, rows, keep=1.0, resamples=500)
    assert (found.kept, found.holds, found.proven, found.needed) == (1, True, False, None)


def test_a_student_that_is_better_can_be_proven_to_keep_all() -> None:
    right = np.arange(1000) % 10 > 0
    rows = [Accuracy().statistics(side, np.ones(1000)) for side in (right, np.ones(1000))]
    found = judge_promise(Accuracy(), *rows, keep=1.0)
    assert found.proven
    assert found.kept == pytest.approx(1 / 0.9)


def test_what_holds_by_less_than_rounding_holds() -> None:
    found = accuracy(30, 100, keep=0.7)
    assert found.holds
    assert not accuracy(31, 100, keep=0.7).holds
    assert found.needed is None  # at the limit no number of examples is enough


def test_a_record_holds_the_whole_promise(tmp_path: Any) -> None:
    found = accuracy(3, 100, keep=0.9, confidence=0.95, resamples=1234)
    Record(tmp_path / "record.jsonl").write("promise", name="half", promise=found)
    event = read(tmp_path / "record.jsonl")[0]["promise"]
    assert json.loads(json.dumps(found.json())) == event
    assert event["proven"] is found.proven
    assert event["holds"] is True
    assert event["method"] == (
        "paired Bayesian bootstrap with one unseen failure added, 1,234 resamples, one-sided 95 %"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 0.0}, "keep: 0.0 is not above 0 and at most 1"),
        ({"keep": 1.01}, "keep: 1.01 is not above 0 and at most 1"),
        ({"keep": 0.9, "confidence": 0.5}, "confidence: 0.5 is not above 0.5"),
        ({"keep": 0.9, "confidence": 1.0}, "confidence: 1.0 is not above 0.5"),
        (
            {"keep": 0.9, "confidence": 0.9999},
            "confidence: 0.9999 is not above 0.5 and at most 0.999",
        ),
    ],
)
def test_what_cannot_be_promised_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        accuracy(0, 10, **settings)


def claims(both: float, teacher: float, student: float, size: int, draws: int) -> float:
    """Share of dev sets that prove a share just above what is truly kept.

    Chances of a text: both are right, the teacher alone, the student alone.
    """
    keep = (both + student) / (both + teacher)
    rng = np.random.default_rng(size)
    tables = rng.multinomial(size, (both, teacher, student, 1 - both - teacher - student), draws)
    proven = 0
    for table in tables:
        places = np.repeat(np.arange(4), table)
        rows = [
            Accuracy().statistics(np.isin(places, side), np.ones(size, bool))
            for side in ((0, 1), (0, 2))
        ]
        proven += judge_promise(Accuracy(), *rows, keep=keep + 1e-12, resamples=500).proven
    return proven / draws


@pytest.mark.slow
@pytest.mark.parametrize("size", [60, 300])
@pytest.mark.parametrize(
    "cells",
    [
        (0.90, 0.01, 0.0),  # only errs more, and rarely
        (0.855, 0.095, 0.0),
        (0.85, 0.02, 0.011),
        (0.70, 0.15, 0.07),
        (0.26, 0.04, 0.01),  # both are rarely right
    ],
)
def test_a_promise_that_is_barely_true_is_proven_once_in_ten_times(
    cells: tuple[float, float, float], size: int
) -> None:
    assert claims(*cells, size, 600) <= 0.1 + 3 * (0.1 * 0.9 / 600) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", [MacroF1(4), Matthews(4), Spearman(), Pearson()], ids=lambda metric: metric.name
)
def test_bounds_of_other_metrics_cover_the_truth(metric: Metric) -> None:
    """A large pool is the truth; dev sets of 300 are drawn from it."""
    rng = np.random.default_rng(5)
    size = 20_000
    if isinstance(metric, MacroF1 | Matthews):
        gold = rng.choice(4, size, p=(0.5, 0.3, 0.15, 0.05))
        teacher = np.where(rng.random(size) < 0.85, gold, rng.integers(0, 4, size))
        student = np.where(rng.random(size) < 0.95, teacher, rng.integers(0, 4, size))
    else:
        gold = np.round(rng.normal(size=size), 1)
        teacher = gold + 0.6 * rng.normal(size=size)
        student = teacher + 0.25 * rng.normal(size=size)
    keep = metric.score(student, gold) / metric.score(teacher, gold)
    proven = 0
    for _ in range(400):
        places = rng.integers(0, size, 300)
        rows = [metric.statistics(side[places], gold[places]) for side in (teacher, student)]
        proven += judge_promise(metric, *rows, keep=keep, resamples=500).proven
    assert proven / 400 <= 0.1 + 3 * (0.1 * 0.9 / 400) ** 0.5
