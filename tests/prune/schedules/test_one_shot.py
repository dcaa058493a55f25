import pytest

from leanformer.prune.schedules import OneShot


def test_everything_goes_at_once() -> None:
    assert [OneShot(at=0.2).progress(share) for share in (0, 0.19, 0.2, 1)] == [0, 0, 1, 1]
    assert OneShot().progress(0) == 1
    with pytest.raises(ValueError, match=r"at: 1 is not at least 0 and below 1"):
        OneShot(at=1)
