import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from leanformer.distill.linear_machines import (
    ABSENT,
    fit_linear,
    fit_temperature,
    temperature,
)


@pytest.fixture(scope="module")
def data() -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(3, 20))
    y = rng.integers(0, 3, 400)
    x = centers[y] + rng.normal(size=(400, 20)) * 2
    return sparse.csr_matrix(x / np.linalg.norm(x, axis=1, keepdims=True)), y


def test_machines_are_those_of_scikit_learn(data: tuple[sparse.csr_matrix, np.ndarray]) -> None:
    x, y = data
    exact = LinearSVC(tol=1e-6, max_iter=10_000, random_state=0).fit(x, y)
    found = fit_linear(x, y, "classes", 4)
    np.testing.assert_allclose(found.weights[:, :3], exact.coef_.T, atol=0.06)
    assert found.offsets[3] == ABSENT
    assert (found.weights[:, 3] == 0).all()
    ours, theirs = found.scores(x).argmax(1), exact.decision_function(x).argmax(1)
    assert (ours == theirs).mean() > 0.99


def test_a_label_that_all_texts_have_or_none_needs_no_weights(
    data: tuple[sparse.csr_matrix, np.ndarray],
) -> None:
    x, y = data
    labels = np.stack([y == 0, y >= 0, y < 0], 1).astype(float)
    found = fit_linear(x, labels, "decisions", 3)
    assert found.offsets[1:].tolist() == [1.0, -1.0]
    assert (found.weights[:, 1:] == 0).all()


def test_numbers_are_those_of_a_ridge(data: tuple[sparse.csr_matrix, np.ndarray]) -> None:
    x, y = data
    found = fit_linear(x, y.astype(float), "numbers", 1)
    dense = x.toarray()
    centered = dense - dense.mean(0)
    exact = np.linalg.solve(centered.T @ centered + np.eye(20), centered.T @ (y - y.mean()))
    np.testing.assert_allclose(found.weights[:, 0], exact, atol=1e-2)
    assert fit_temperature(x, y, "numbers", 1) == 1


def test_one_class_is_refused(data: tuple[sparse.csr_matrix, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="all texts have the same label"):
        fit_linear(data[0], np.ones(400, int), "classes", 3)


@pytest.mark.parametrize("true", [0.1, 0.5, 2.0])
def test_the_temperature_of_known_probabilities_is_found(true: float) -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(4000, 4))
    shares = np.exp(scores / true)
    shares /= shares.sum(1, keepdims=True)
    y = (shares.cumsum(1) < rng.random((4000, 1))).sum(1)
    assert temperature(scores, y, "classes") == pytest.approx(true, rel=0.15)
    labels = (rng.random((4000, 4)) < 1 / (1 + np.exp(-scores / true))).astype(float)
    assert temperature(scores, labels, "decisions") == pytest.approx(true, rel=0.15)


def test_few_texts_have_a_typical_temperature(
    data: tuple[sparse.csr_matrix, np.ndarray],
) -> None:
    x, y = data
    assert fit_temperature(x[:20], y[:20], "classes", 3) == 0.2
    assert fit_temperature(x, y, "classes", 3) != 0.2
