"""The speed of a run is its own, and what is left is told from it."""

from unittest import mock

from leanformer.retrieve.embed import progress as module
from leanformer.retrieve.embed.progress import Meter


def test_what_earlier_runs_did_does_not_count() -> None:
    with mock.patch.object(module.time, "monotonic", side_effect=[0.0, 10.0, 14.0, 20.0]):
        meter = Meter(1000)
        meter.begin(300, 600)
        found = meter.progress(340, 700)
        assert found.texts_per_second == 10
        assert found.share == 0.7
        assert found.seconds_left == 300 * 4 / 100
        ended = meter.progress(400, 900, last=True)
    assert (ended.share, ended.seconds_left, ended.texts_per_second) == (1, 0, 10)
