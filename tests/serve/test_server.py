"""The end of a server, tick by tick; whole servers are in test_running.py."""

import asyncio
import signal
from types import SimpleNamespace

import pytest
import uvicorn

from leanformer.serve import server


@pytest.fixture
def ending(monkeypatch):
    """A server that was told to stop, its guard, and the clock: `ending(in_flight)`."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(server.time, "monotonic", lambda: clock.now)

    def make(in_flight):
        guard = SimpleNamespace(stopping=False, in_flight=in_flight)
        config = uvicorn.Config(guard, timeout_graceful_shutdown=31)
        made = server.Server(config, guard)
        assert not asyncio.run(made.on_tick(1))
        made.handle_exit(signal.SIGTERM, None)
        return made, guard, clock

    return make


def test_it_ends_when_what_was_accepted_is_answered(ending):
    made, guard, _ = ending(1)
    assert not any(asyncio.run(made.on_tick(1)) for _ in range(50))
    guard.in_flight = 0
    assert [asyncio.run(made.on_tick(1)) for _ in range(2)] == [False, True]


def test_it_ends_with_the_time_of_a_request_though_somebody_does_not_read_the_answer(ending):
    made, _, clock = ending(1)
    assert not asyncio.run(made.on_tick(1))
    clock.now += 31
    assert not asyncio.run(made.on_tick(1))
    clock.now += 0.1
    assert asyncio.run(made.on_tick(1))


def test_a_second_signal_ends_it(ending):
    made, _, _ = ending(1)
    made.handle_exit(signal.SIGTERM, None)
    assert asyncio.run(made.on_tick(1))
