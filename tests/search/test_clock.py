"""One clock: what is used, over all sessions; what the end takes; what is free."""

import json
from pathlib import Path

import pytest

from leanformer.core.record import Record
from leanformer.search.clock import SHORT, WHOLE, Clock, worked


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def at(second: int, event: str) -> dict[str, str]:
    return {"event": event, "time": f"2026-01-01T00:{second // 60:02}:{second % 60:02}+00:00"}


def test_only_the_time_of_sessions_counts() -> None:
    events = [
        at(0, "run"), at(5, "session"), at(20, "model"), at(30, "step"),
        at(500, "session"), at(501, "training"), at(900, "session"),
    ]  # fmt: skip
    assert worked(events) == (30 - 5) + (501 - 500)
    assert worked([]) == worked(events[:1]) == 0
    told_again = [at(900, "session"), at(3, "training"), at(9, "step"), at(910, "model")]
    assert worked(told_again) == 910 - 900


def test_what_is_used_goes_on_over_sessions(tmp_path: Path) -> None:
    now, record = Now(), Record(tmp_path / "record.jsonl")
    first = Clock(record, 2.0, now)
    now.seconds += 30
    assert first.used == 30
    assert str(first) == "0.5 of 2 min"
    record.path.write_text(
        "".join(json.dumps(one) + "\n" for one in (at(0, "session"), at(30, "model")))
    )
    second = Clock(record, 2.0, now)
    assert second.used == 30
    now.seconds += 12
    assert second.used == 42
    assert [event["event"] for event in record.events()] == ["session", "model", "session"]


@pytest.mark.parametrize("exact", [True, False])
def test_the_end_grows_with_each_system_and_with_slow_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    monkeypatch.setattr("leanformer.search.clock.multiplies_int8_exactly", lambda: exact)
    now = Now()
    clock = Clock(Record(tmp_path / "record.jsonl"), 20.0, now)
    assert clock.ending == 0
    clock.entered("teacher", seconds=2.0, texts=1000)
    timed = 9 * (2 * 230 + 3 * 256)
    again = 0 if exact else timed * 0.002 + 8  # fp32 may be served, which is timed as well
    alone = clock.ending
    assert alone == pytest.approx((timed + 2000 + 2000) * 0.002 + 8 + 5 * 8 + again)
    clock.entered("int8", seconds=0.5, texts=1000)
    both = clock.ending
    again = 0 if exact else timed * 0.0005 + 8
    assert both == pytest.approx(alone + (timed + 2000) * 0.0005 + 8 + again)
    clock.record.write("export", name="int8", seconds=20.0)
    assert clock.ending == pytest.approx(both + 2 * 20)
    student = (timed + 2000) * 0.0005 + 8 + 20  # as fast as the fastest, and exported once
    assert clock.free == pytest.approx(1200 - clock.ending - student)
    now.seconds += 60
    assert clock.free == pytest.approx(1140 - clock.ending - student)


def test_a_short_search_measures_less(tmp_path: Path) -> None:
    for minutes, effort in ((60.0, WHOLE), (1.0, SHORT)):
        clock = Clock(Record(tmp_path / "record.jsonl"), minutes)
        clock.entered("teacher", seconds=2.0, texts=1000)
        assert clock.effort == effort
        one = Clock(Record(tmp_path / "record.jsonl"), minutes, one_thread=True)
        one.entered("teacher", seconds=2.0, texts=1000)
        assert one.ending < clock.ending
