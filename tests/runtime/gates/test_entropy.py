import numpy as np
from scipy.stats import entropy

from leanformer.runtime.gates import Entropy


def test_it_is_scipys_with_the_sign_turned() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (5, 7))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(Entropy().score(logits), -entropy(shares, axis=1), atol=1e-12)


def test_a_class_that_cannot_be_adds_nothing() -> None:
    found = Entropy().score(np.array([[0.0, 0.0, -np.inf], [5.0, -np.inf, -np.inf]]))
    np.testing.assert_allclose(found, [-np.log(2), 0.0], atol=1e-12)
