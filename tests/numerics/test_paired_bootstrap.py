from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from leanformer.numerics.metrics import (
    F1,
    Accuracy,
    Cosine,
    MacroF1,
    Matthews,
    Metric,
    Pearson,
    SpanF1,
    Spearman,
)
from leanformer.numerics.paired_bootstrap import PairedBootstrap, paired_bootstrap

RIGHT = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40)
LABELLED: list[Metric] = [Accuracy(), F1(1), MacroF1(3), Matthews(3)]
NUMBERED: list[Metric] = [Pearson(), Spearman()]


def accuracy(teacher: Any, student: Any, **settings: Any) -> PairedBootstrap:
    """Of systems that are right where these are true."""
    rows = [Accuracy().statistics(side, np.ones(len(side))) for side in (teacher, student)]
    return paired_bootstrap(Accuracy(), *rows, **settings)


def examples(metric: Metric, size: int, seed: int) -> tuple[Any, Any]:
    """Statistics of a teacher and a student who errs a little more."""
    rng = np.random.default_rng(seed)
    if metric in LABELLED:
        gold = rng.integers(0, 3, size)
        teacher = np.where(rng.random(size) < 0.9, gold, rng.integers(0, 3, size))
        student = np.where(rng.random(size) < 0.9, teacher, rng.integers(0, 3, size))
    else:
        gold = rng.normal(size=size)
        teacher = gold + 0.4 * rng.normal(size=size)
        student = teacher + 0.3 * rng.normal(size=size)
    return metric.statistics(teacher, gold), metric.statistics(student, gold)


@pytest.mark.parametrize("wrong", [0, 1, 4, 20])
@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.99])
def test_bound_is_clopper_and_pearsons_where_the_student_only_errs_more(
    wrong: int, confidence: float
) -> None:
    student = np.arange(300) >= wrong
    found = accuracy(np.ones(300), student, resamples=40_000)
    exact = 1 - beta.ppf(confidence, wrong + 1, 300 - wrong)
    assert found.kept == 1 - wrong / 300
    assert found.lower(confidence) == pytest.approx(exact, abs=6e-4)


def test_bound_equals_enumeration_with_two_kinds_of_difference() -> None:
    """Gamma weights of the four cells, the unseen failure in the second, drawn in another way."""
    both, teacher_alone, student_alone, neither = 60, 5, 3, 12
    teacher = [1] * both + [1] * teacher_alone + [0] * student_alone + [0] * neither
    student = [1] * both + [0] * teacher_alone + [1] * student_alone + [0] * neither
    rng = np.random.default_rng(9)
    shapes = [both, teacher_alone + 1, student_alone]
    first, second, third = (rng.gamma(shape, size=200_000) for shape in shapes)
    exact = np.quantile((first + third) / (first + second), 0.1)
    found = accuracy(teacher, student, resamples=40_000)
    assert found.lower(0.9) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("metric", LABELLED + NUMBERED, ids=lambda metric: metric.name)
def test_order_of_examples_changes_nothing(metric: Metric) -> None:
    teacher, student = examples(metric, 80, 0)
    order = np.random.default_rng(1).permutation(80)
    one = paired_bootstrap(metric, teacher, student, resamples=200)
    other = paired_bootstrap(metric, teacher[order], student[order], resamples=200)
    np.testing.assert_allclose(one.resampled_R, other.resampled_R, rtol=1e-12)
    np.testing.assert_allclose(one.influence_N, other.influence_N, atol=1e-9)


@given(RIGHT, st.integers(0, 39), st.integers(0, 9))
def test_a_better_student_never_has_a_lower_bound(pairs: Any, place: int, seed: int) -> None:
    """Every resample is at least as good: one more right answer takes its weight along."""
    teacher, student = (np.array(side) for side in zip(*pairs, strict=True))
    teacher[0] = True
    better = student.copy()
    better[place % len(better)] = True
    one, other = (accuracy(teacher, s, resamples=50, seed=seed) for s in (student, better))
    assert (other.resampled_R >= one.resampled_R - 1e-12).all()
    assert other.lower(0.9) >= one.lower(0.9) - 1e-12


@settings(max_examples=20)
@given(RIGHT, st.integers(2, 4))
def test_more_copies_of_the_same_examples_do_not_lower_the_bound(pairs: Any, copies: int) -> None:
    teacher, student = (np.array(side) for side in zip(*pairs, strict=True))
    teacher[0] = True
    few = accuracy(teacher, student, resamples=4000)
    many = accuracy(np.repeat(teacher, copies), np.repeat(student, copies), resamples=4000)
    assert many.kept == pytest.approx(few.kept)
    assert many.lower(0.9) >= few.lower(0.9) - 0.02  # drawn anew: by no more than the draws


@pytest.mark.parametrize("metric", LABELLED + NUMBERED, ids=lambda metric: metric.name)
def test_an_identical_student_is_not_proven_equal(metric: Metric) -> None:
    teacher, _ = examples(metric, 200, 2)
    found = paired_bootstrap(metric, teacher, teacher)
    assert found.kept == 1
    assert np.mean(found.resampled_R < 1) > 0.98
    assert 0.9 < found.lower(0.9) < 0.999
    np.testing.assert_allclose(found.influence_N, 0, atol=1e-9)


@pytest.mark.parametrize("metric", LABELLED + NUMBERED, ids=lambda metric: metric.name)
def test_influence_tells_the_spread_of_the_resamples(metric: Metric) -> None:
    found = paired_bootstrap(metric, *examples(metric, 1500, 3))
    first, second = (found.chances_M @ found.added_M**power for power in (1, 2))
    spread = np.sqrt((found.influence_N**2).sum() + 2 * second - first**2)
    assert spread == pytest.approx(found.resampled_R.std(), rel=0.05)
    assert found.influence_N.sum() == pytest.approx(0, abs=1e-3 * spread)
    assert found.chances_M.sum() == pytest.approx(1)
    assert (found.added_M < 0).all()


def test_a_rare_class_is_protected_too() -> None:
    """Three of 900 are of the class that counts: all found by both proves very little."""
    gold = np.zeros(900, int)
    gold[:3] = 1
    rows = F1(1).statistics(gold, gold)
    found = paired_bootstrap(F1(1), rows, rows)
    assert found.kept == 1
    assert found.lower(0.9) < 0.8


def test_spans_and_vectors_have_bounds() -> None:
    rows = np.array([[1, 1, 1]] * 50 + [[0, 1, 1]] * 2)
    found = paired_bootstrap(SpanF1(), np.array([[1, 1, 1]] * 52), rows)
    assert found.kept == pytest.approx(50 / 52)
    exact = 1 - beta.ppf(0.9, 3, 50)
    assert found.lower(0.9) == pytest.approx(exact, abs=0.005)
    cosines = np.stack([np.full(100, 0.97), np.ones(100)], axis=1)
    found = paired_bootstrap(Cosine(), np.ones((100, 2)), cosines)
    assert found.lower(0.9) == pytest.approx(0.97 * (1 - beta.ppf(0.9, 1, 100)), abs=0.002)


def test_one_seed_gives_the_same_numbers() -> None:
    rows = examples(Pearson(), 60, 4)
    one, same, other = (
        paired_bootstrap(Pearson(), *rows, resamples=99, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.resampled_R, same.resampled_R)
    assert (one.resampled_R != other.resampled_R).all()


def test_resamples_without_a_teacher_count_as_losses() -> None:
    """Where the teacher's quality is not above 0 no share of it can be kept."""
    gold = np.array([0, 1, 2, 3.0])
    rows = Spearman().statistics([1.0, 2, 0, 3], gold)
    found = paired_bootstrap(Spearman(), rows, rows, resamples=500)
    assert np.isneginf(found.resampled_R).any()
    assert not np.isnan(found.resampled_R).any()


@pytest.mark.parametrize(("teacher", "student"), [(3, 4), (0, 0)])
def test_different_examples_are_refused(teacher: int, student: int) -> None:
    rows = (np.ones((count, 2)) for count in (teacher, student))
    with pytest.raises(ValueError, match=f"{teacher} examples of the teacher and {student} of"):
        paired_bootstrap(Accuracy(), *rows)


def test_a_teacher_without_quality_is_refused() -> None:
    with pytest.raises(ValueError, match=r"teacher's accuracy is 0.000 on these examples"):
        accuracy(np.zeros(5), np.ones(5))


@pytest.mark.parametrize(("confidence", "bounded"), [(0.98, True), (0.995, False), (0.9999, False)])
def test_few_resamples_give_no_bound_of_a_high_confidence(confidence: float, bounded: bool) -> None:
    right = np.ones(50)
    found = accuracy(right, right, resamples=100)
    assert (found.lower(confidence) >= found.resampled_R.min()) == bounded
    assert bounded or found.lower(confidence) == -np.inf
