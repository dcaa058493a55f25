import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from leanformer.numerics.metrics import F1OfSets, MacroF1OfSets, Metric, MicroF1
from leanformer.numerics.paired_bootstrap import paired_bootstrap

SETS = st.integers(1, 12).flatmap(
    lambda count: st.tuples(*[arrays(bool, (count, 3), elements=st.booleans())] * 2)
)
METRICS: list[Metric] = [MicroF1(), MacroF1OfSets(), F1OfSets(1, "f1:b")]


@given(SETS)
def test_they_are_scikit_learns(both: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, gold = both
    assert MicroF1().score(predicted, gold) == pytest.approx(
        f1_score(gold, predicted, average="micro", zero_division=0)
    )
    one = f1_score(gold[:, 1], predicted[:, 1], zero_division=0)
    assert F1OfSets(1).score(predicted, gold) == pytest.approx(one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that nobody has
        macro = f1_score(gold, predicted, average="macro", zero_division=np.nan)
    expected = 0 if np.isnan(macro) else macro
    assert MacroF1OfSets().score(predicted, gold) == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@given(SETS)
def test_sums_of_statistics_do_not_hang_on_order_or_scale(
    metric: Metric, both: tuple[np.ndarray, np.ndarray]
) -> None:
    found = metric.statistics(*both)
    whole = metric.value(found.sum(0, dtype=float))
    assert metric.value(3 * found[::-1].sum(0, dtype=float)) == pytest.approx(whole)
    assert 0 <= whole <= 1
    made = metric.exchanged(found, found[::-1])
    assert made.shape == found.shape
    assert 0 <= metric.value(made.sum(0, dtype=float)) <= 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_right_answers_are_perfect_and_a_text_without_labels_may_be_one(metric: Metric) -> None:
    gold = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)
    assert metric.score(gold, gold) == 1
    assert not metric.statistics(gold, gold)[1].any()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_promise_can_be_drawn_from_them(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    gold = rng.random((80, 3)) < 0.4
    teacher, student = (gold ^ (rng.random(gold.shape) < rate) for rate in (0.05, 0.2))
    drawn = paired_bootstrap(
        metric, metric.statistics(teacher, gold), metric.statistics(student, gold), resamples=200
    )
    assert drawn.lower(0.9) < drawn.kept < 1
    assert drawn.teacher == pytest.approx(metric.score(teacher, gold))
