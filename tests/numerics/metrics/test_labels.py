from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from leanformer.numerics.metrics import F1, Accuracy, MacroF1, Matthews, Metric
from leanformer.numerics.metrics.labels import one_hot

CLASSES = 4
ANSWERS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=25
)
METRICS: list[Metric] = [Accuracy(), F1(2, "f1:c"), MacroF1(CLASSES), Matthews(CLASSES)]


def sides(pairs: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    ours, theirs = zip(*pairs, strict=True)
    return list(ours), list(theirs)


@given(ANSWERS)
def test_metrics_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    ours, gold = sides(pairs)
    assert Accuracy().score(ours, gold) == pytest.approx(accuracy_score(gold, ours))
    one = f1_score(gold, ours, labels=[2], average="macro", zero_division=0)
    assert F1(2).score(ours, gold) == pytest.approx(one)
    # without `labels` scikit-learn averages over what occurs in gold or among the answers
    macro = f1_score(gold, ours, average="macro", zero_division=0)
    assert MacroF1(CLASSES).score(ours, gold) == pytest.approx(macro)
    assert Matthews(CLASSES).score(ours, gold) == pytest.approx(matthews_corrcoef(gold, ours))


@pytest.mark.parametrize(
    ("ours", "gold", "macro", "mcc", "f1"),
    [
        ([0, 0, 0], [0, 0, 0], 1.0, 0.0, 0.0),  # one class everywhere: nothing to correlate
        ([0, 0, 0, 0], [0, 0, 0, 1], (6 / 7) / 2, 0.0, 0.0),  # constant answers
        ([0, 1, 2, 0], [0, 1, 1, 0], (1 + 2 / 3 + 0) / 3, None, 0.0),  # 2 is answered, not in gold
        ([1, 0], [0, 1], 0.0, -1.0, 0.0),
        ([2, 2, 0], [2, 0, 0], 2 / 3, 0.5, 2 / 3),
    ],
)
def test_edges_by_hand(
    ours: list[int], gold: list[int], macro: float, mcc: float | None, f1: float
) -> None:
    assert MacroF1(CLASSES).score(ours, gold) == pytest.approx(macro)
    assert F1(2).score(ours, gold) == pytest.approx(f1)
    if mcc is not None:
        assert Matthews(CLASSES).score(ours, gold) == pytest.approx(mcc)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@given(pairs=ANSWERS, seed=st.integers(0, 99))
def test_weights_are_copies(metric: Metric, pairs: Any, seed: int) -> None:
    """Whole weights give the quality of as many copies; the scale of weights does not matter."""
    ours, gold = sides(pairs)
    copies = np.random.default_rng(seed).integers(0, 4, len(ours))
    copies[0] += 1
    weighed = copies @ metric.statistics(ours, gold).astype(float)
    whole = metric.score(np.repeat(ours, copies), np.repeat(gold, copies))
    assert metric.value(weighed) == pytest.approx(whole)
    assert metric.value(np.stack([weighed, 0.3 * weighed])) == pytest.approx([whole] * 2)


@pytest.mark.parametrize("metric", METRICS[1:], ids=lambda metric: metric.name)
@given(pairs=ANSWERS, seed=st.integers(0, 99))
def test_exchanged_examples_are_those_of_exchanged_answers(
    metric: Metric, pairs: Any, seed: int
) -> None:
    ours, gold = (np.array(side) for side in sides(pairs))
    rows = metric.statistics(ours, gold)
    golds, answers = np.random.default_rng(seed).integers(0, len(gold), (2, 9))
    made = metric.exchanged(rows[golds], rows[answers])
    np.testing.assert_array_equal(made, metric.statistics(ours[answers], gold[golds]))


def test_an_exchanged_answer_is_wrong_for_accuracy() -> None:
    rows = Accuracy().statistics([0, 1], [0, 0])
    made = Accuracy().exchanged(rows, rows[::-1])
    np.testing.assert_array_equal(made, [[0, 1], [0, 1]])


def test_statistics_of_many_classes_are_bytes() -> None:
    """1,000 classes and 10,000 examples are 30 MB, not 240."""
    assert MacroF1(9).statistics([1, 8], [1, 2]).dtype == np.uint8
    assert Matthews(9).statistics([1, 8], [1, 2]).dtype == np.uint8
    np.testing.assert_array_equal(one_hot([2, 0], 3), [[0, 0, 1], [1, 0, 0]])
