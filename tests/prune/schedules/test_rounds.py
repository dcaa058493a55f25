import pytest

from leanformer.prune.schedules import Rounds


def test_equal_parts_go_after_equal_stretches() -> None:
    schedule = Rounds(rounds=4)
    assert [schedule.progress(step / 10) for step in range(11)] == [
        0, 0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1, 1,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="rounds: 0 is not at least 1"):
        Rounds(rounds=0)
