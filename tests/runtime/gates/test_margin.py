import numpy as np

from leanformer.runtime.gates import Margin


def test_it_is_the_lead_of_the_first_class_over_the_second() -> None:
    shares = np.array([[0.2, 0.7, 0.1], [0.4, 0.2, 0.4], [0.0, 0.05, 0.95]])
    with np.errstate(divide="ignore"):
        found = Margin().score(np.log(shares) + 3)
    np.testing.assert_allclose(found, [0.5, 0.0, 0.9], atol=1e-12)
    assert Margin().score(np.array([[7.0]])) == 1  # of one class there is no second


def test_large_logits_neither_overflow_nor_tie() -> None:
    found = Margin().score(np.array([[1000.0, 0.0], [30.0, 0.0], [29.0, 0.0]]))
    assert np.isfinite(found).all()
    assert found[0] >= found[1] > found[2]
