"""What is done about a worker that ended; whole servers of several are in test_running.py."""

from types import SimpleNamespace

import pytest

from leanformer.serve import workers
from leanformer.serve.settings import Settings


def process(code=None, pid=1):
    return SimpleNamespace(exitcode=code, pid=pid)


def place(code, started=0.0, deaths=0):
    return workers._Place(process(code), started, deaths)


def test_one_that_cannot_open_the_folder_ends_them_all():
    with pytest.raises(ValueError, match="a worker could not open the folder"):
        workers._tend(place(3), process, 1.0)


def test_one_that_lives_is_left_alone():
    one = place(None)
    before = one.process
    workers._tend(one, process, 1000.0)
    assert one.process is before


def test_one_that_ended_after_a_healthy_life_is_replaced_at_once(caplog):
    one = place(-9, started=0.0, deaths=7)
    workers._tend(one, lambda: process(pid=2), 61.0)
    assert (one.process.pid, one.started, one.deaths, one.resumes) == (2, 61.0, 0, None)
    assert "worker 1 ended (-9); another starts now" in caplog.text


def test_one_that_keeps_dying_young_waits_longer_and_longer():
    one, now, pauses = place(1), 0.0, []
    for _ in range(12):
        workers._tend(one, process, now)
        assert one.resumes is not None
        pauses.append(one.resumes - now)
        before = one.process
        workers._tend(one, process, one.resumes - 0.01)
        assert one.process is before
        now = one.resumes
        workers._tend(one, process, now)
        assert one.process.exitcode is None
        one.process = process(1)
    assert pauses == pytest.approx([min(30, 0.1 * 2**deaths) for deaths in range(1, 13)])


def test_a_pause_in_one_place_holds_up_no_other(monkeypatch, tmp_path):
    """Two places: the worker of one keeps dying; that of the other dies once, after a long life."""
    started, clock = [], iter(range(0, 100_000, 5))
    codes = [1, None]  # of the first two

    def make(target, args):
        code = codes[len(started)] if len(started) < 2 else None
        made = SimpleNamespace(
            exitcode=code, pid=len(started), sentinel=None, start=lambda: started.append(made),
            terminate=lambda: None, join=lambda: None,
        )  # fmt: skip
        return made

    context = SimpleNamespace(Process=make)
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda kind: context)
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    handlers = {}  # a real signal might end the process that runs the tests
    monkeypatch.setattr(workers.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(workers, "_SHORTEST_PAUSE", 1e6)
    monkeypatch.setattr(workers, "_LONGEST_PAUSE", 1e6)
    turns = iter(range(50))

    def wait(sentinels, timeout):
        turn = next(turns)
        if turn == 20:  # after more than a minute by this clock
            started[1].exitcode = -9
        if turn == 21:
            assert len(started) == 3
            handlers[workers.signal.SIGTERM](workers.signal.SIGTERM, None)

    monkeypatch.setattr(workers, "wait", wait)
    workers.supervise(tmp_path, Settings(threads=1), None, (), 2, lambda: None)
    assert len(started) == 3


def test_a_worker_tells_why_it_cannot_open_its_folder(tmp_path, caplog):
    with pytest.raises(SystemExit) as ended:
        workers.work(tmp_path, Settings(), None, (), 1)
    assert ended.value.code == 3
    assert "has neither leanformer.json nor search.json" in caplog.text
