import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from leanformer.runtime.gates import shifted
from leanformer.runtime.gates.thresholds import log_odds
from leanformer.tasks.answers import sigmoid

BARS = st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3)


@given(BARS, BARS, st.integers(0, 99))
def test_answers_stay_what_they_were_by_other_thresholds(
    own: list[float], to: list[float], seed: int
) -> None:
    rows = list(np.random.default_rng(seed).normal(0, 2, (4, 3)).astype(np.float32))
    for before, after in zip(rows, shifted(rows, own, to), strict=True):
        assert after.dtype == np.float32
        clear = np.abs(sigmoid(before) - own) > 1e-5
        assert ((sigmoid(before) >= own) == (sigmoid(after) >= to))[clear].all()


def test_equal_thresholds_and_none_at_all_change_nothing() -> None:
    rows = [np.array([0.1, 0.3], np.float32)]
    for own, to in (((0.2, 0.4), (0.2, 0.4)), ((), ()), ((0.5, 0.5), ()), ((), (0.5, 0.5))):
        assert shifted(rows, own, to)[0] is rows[0]


def test_a_label_that_is_always_answered_or_never_has_finite_odds() -> None:
    never, always = log_odds((1.0, 0.0), 2)
    assert 20 < never < 40
    assert -40 < always < -20
    np.testing.assert_array_equal(log_odds((), 2), [0, 0])
