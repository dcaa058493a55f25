from dataclasses import replace

from train.toy import FAST

from leanformer.train import Supervised
from leanformer.train.state import State, identity_of


def test_evaluations_without_a_new_best_are_counted() -> None:
    state = State(step=3)
    assert [state.judged(quality) for quality in (0.2, 0.5, 0.5, 0.1, 0.6)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert (state.best, state.stale) == (0.6, 0)
    assert state.qualities[2] == (3, 0.5)
    state.judged(0.6)
    assert state.stale == 1


def test_how_often_is_saved_is_no_part_of_what_a_training_is() -> None:
    loss = Supervised("classification")
    known = identity_of(FAST, loss, 0, 12)
    assert known == identity_of(replace(FAST, checkpoint_seconds=9), loss, 0, 12)
    others = [(replace(FAST, epochs=2), 0, 12), (FAST, 1, 12), (FAST, 0, 13)]
    assert all(known != identity_of(setup, loss, seed, steps) for setup, seed, steps in others)
