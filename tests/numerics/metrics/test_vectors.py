import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine as distance

from leanformer.numerics.metrics import Cosine, length_ratio


def test_cosine_is_a_mean_over_examples() -> None:
    ours, theirs = np.random.default_rng(0).normal(size=(2, 7, 5)).astype(np.float32)
    rows = Cosine().statistics(ours, theirs)
    each = [1 - distance(a, b) for a, b in zip(ours, theirs, strict=True)]
    np.testing.assert_allclose(rows[:, 0], each, atol=1e-6)
    weights = np.arange(7)
    assert Cosine().value(weights @ rows) == pytest.approx(np.average(each, weights=weights))
    assert Cosine().score(np.zeros((2, 3)), np.ones((2, 3))) == 0


def test_the_vector_of_another_text_is_orthogonal() -> None:
    rows = Cosine().statistics(np.ones((2, 3)), np.ones((2, 3)))
    np.testing.assert_array_equal(Cosine().exchanged(rows, rows), [[0, 1], [0, 1]])


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=9), st.integers(0, 99))
def test_the_ratio_of_lengths_does_not_see_directions(factors: list[float], seed: int) -> None:
    theirs = np.random.default_rng(seed).normal(size=(len(factors), 4))
    ours = -np.asarray(factors)[:, None] * theirs
    assert length_ratio(ours, theirs) == pytest.approx(sum(factors) / len(factors))
    assert length_ratio(theirs, theirs) == pytest.approx(1)
