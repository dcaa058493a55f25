import math

from leanformer.train.state import State


def test_evaluations_without_a_new_best_are_counted() -> None:
    state = State(step=3)
    assert [state.judged(quality) for quality in (0.2, 0.5, 0.5, 0.1, 0.6)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert (state.best, state.stale) == (0.6, 0)
    assert state.qualities[2] == (3, 0.5)
    state.judged(0.6)
    assert state.stale == 1


def test_nan_is_never_the_best_and_counts_as_no_better() -> None:
    state = State()
    assert [state.judged(quality) for quality in (math.nan, 0.2, math.nan, 0.3)] == [
        False, True, False, True,
    ]  # fmt: skip
    assert (state.best, state.stale) == (0.3, 0)
    state.judged(math.nan)
    assert state.stale == 1
