import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leanformer.tasks.answers import (
    Prediction,
    correlation,
    cosines,
    equal_choices,
    predictions,
    softmax,
)

ROWS = arrays(np.float32, (3, 4), elements=st.integers(-30, 30))


@given(ROWS)
def test_probabilities_are_positive_and_sum_to_one(logits: np.ndarray) -> None:
    shares = softmax(logits)
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    naive = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(shares, naive / naive.sum(-1, keepdims=True), rtol=1e-4, atol=1e-7)


def test_the_likeliest_label_is_answered() -> None:
    assert predictions([], ("a", "b")) == []
    (found,) = predictions([np.log(np.array([0.2, 0.8], np.float32))], ("ä", "b c"))
    assert found == Prediction("b c", pytest.approx(0.8))  # type: ignore[arg-type]


@given(ROWS)
def test_outputs_agree_with_themselves(rows: np.ndarray) -> None:
    assert equal_choices(list(rows), list(rows)) == 1
    assert correlation(list(rows), list(rows)) == pytest.approx(1)


def test_agreement_is_a_share_of_choices_and_a_correlation_of_numbers() -> None:
    first = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    assert equal_choices(first, [first[0], first[0]]) == 0.5
    tokens = [np.eye(3), np.eye(3)]
    assert equal_choices(tokens, [np.eye(3), np.eye(3)[::-1]]) == pytest.approx(4 / 6)
    assert correlation([np.array([v]) for v in (1, 2, 3)], [np.array([-v]) for v in (1, 2, 3)]) == (
        pytest.approx(-1)
    )
    assert correlation([np.array([1.0])] * 2, [np.array([2.0])] * 2) == 0


def test_cosines_are_of_rows() -> None:
    found = cosines(np.array([[1.0, 0], [3, 4]]), np.array([[0.0, 2], [3, 4]]))
    np.testing.assert_allclose(found, [0, 1])
