"""Against scikit-learn, and on a system that is wrong of one class whatever its lead."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from leanformer.measure.gates.reliability import _logistic, fit_reliability
from leanformer.runtime.gates import Margin


def test_the_solver_finds_what_scikit_learn_finds() -> None:
    rng = np.random.default_rng(0)
    x, right = rng.normal(size=(200, 4)), (rng.random(200) < 0.7).astype(float)
    other = LogisticRegression(C=1 / 2.5, fit_intercept=False, tol=1e-10).fit(x, right)
    np.testing.assert_allclose(_logistic(x, right, np.full(4, 2.5)), other.coef_[0], atol=1e-5)


def answers(texts: int, seed: int) -> tuple[Any, Any]:
    """Logits of three classes; what is called the third is right half of the time."""
    rng = np.random.default_rng(seed)
    said = rng.integers(0, 3, texts)
    logits = rng.normal(0, 0.3, (texts, 3))
    logits[np.arange(texts), said] += rng.uniform(0.5, 4, texts)
    said = logits.argmax(1)
    certain = np.where(said == 2, 0.5, 0.97)
    return list(logits.astype(np.float32)), np.where(rng.random(texts) < certain, said, 9)


def test_a_class_that_is_often_wrongly_named_is_passed_on_first() -> None:
    gate = fit_reliability(*answers(2000, seed=0))
    assert gate.offsets[2] < min(gate.offsets[:2]) - 1
    outputs, labels = answers(1000, seed=1)
    said = np.stack(outputs).argmax(1)
    wrong = []
    for one in (gate, Margin()):
        kept = np.argsort(one.scores(outputs, "classification"))[300:]
        wrong.append(int((said != labels)[kept].sum()))
    assert wrong[0] < wrong[1] / 2


def test_where_every_answer_is_right_or_a_class_is_never_named_it_stays_finite() -> None:
    logits = [np.array([3.0, 0.0, -1.0], np.float32)] * 5
    gate = fit_reliability(logits, [0] * 5)
    assert np.isfinite([gate.slope, *gate.offsets]).all()
    assert gate.offsets[1] == gate.offsets[2]


def test_refusals() -> None:
    row = np.array([1.0, -np.inf], np.float32)
    with pytest.raises(ValueError, match="outputs, labels: 1 and 2; give one label per output"):
        fit_reliability([row], [0, 1])
    with pytest.raises(ValueError, match="outputs, labels: 0 and 0"):
        fit_reliability([], [])
    with pytest.raises(ValueError, match="none has two finite logits"):
        fit_reliability([row], [0])
