import numpy as np
import pytest

from leanformer.runtime.gates import Reliability


def test_it_is_a_line_of_the_lead_with_an_offset_of_the_class() -> None:
    gate = Reliability(slope=2.0, offsets=(0.0, -1.0, 3.0))
    logits = np.array([[1.0, 0.5, -9.0], [0.0, 4.0, 1.0], [0.0, 0.0, 0.25]])
    np.testing.assert_allclose(gate.score(logits), [1.0, 5.0, 3.5])
    np.testing.assert_allclose(Reliability().score(logits), [0.5, 3.0, 0.25])


def test_an_answer_without_a_rival_is_sure() -> None:
    assert Reliability().score(np.array([[2.0, -np.inf]])) == [np.inf]
    assert Reliability().score(np.array([[2.0]])) == [np.inf]


def test_offsets_of_another_system_are_refused() -> None:
    with pytest.raises(ValueError, match="offsets: 2 for outputs of 3 classes; fit the gate"):
        Reliability(offsets=(0.0, 1.0)).score(np.zeros((1, 3)))
