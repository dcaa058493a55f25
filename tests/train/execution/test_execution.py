import pytest

from leanformer.train.execution import Execution


def test_an_execution_must_say_how_it_does_all_of_a_step() -> None:
    assert Execution.__abstractmethods__ == {
        "close",
        "decide",
        "forward_backward",
        "norms",
        "read",
        "require_finite",
        "restore",
        "state",
        "step",
        "total",
        "weights",
        "wished",
        "write",
    }
    with pytest.raises(TypeError, match="abstract"):
        Execution()  # type: ignore[abstract]
