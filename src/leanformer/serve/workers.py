"""Several processes that answer at one socket, and the one that looks after them.

The system hands each connection to a worker that is free to accept it. A worker that dies is
replaced at once; requests that it had begun are lost with it. Only in the place of one that died
young, again and again, another waits, longer each time, while the other places are looked after:

    pause = 0 after a minute of life, else min(30 s, 0.1 s · 2^n)      n young deaths in a row

A worker that cannot open the folder ends them all with its reason, because the next would not open
it either.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from leanformer.core.machine.threads import cores
from leanformer.serve.settings import Settings

_log = logging.getLogger(__name__)
_CANNOT_OPEN = 3  # exit code
_YOUNG = 60.0  # seconds
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0  # seconds
_TICK = 0.2  # seconds after which signals and pauses are looked at


@dataclass
class _Place:
    """A worker, or the pause after it.

    Attributes:
        process: The last process that was started here.
        started: When, by the monotonic clock.
        deaths: Young deaths here, one after the other.
        resumes: When the next process starts; None = this one has not ended, as far as is known.
    """

    process: BaseProcess
    started: float
    deaths: int = 0
    resumes: float | None = None


def supervise(
    folder: Path,
    settings: Settings,
    bound: socket.socket,
    keys: Sequence[str],
    count: int,
    tell: Callable[[], None],
) -> None:
    """Keep `count` workers answering at `bound` until a signal comes; then let them end.

    Args:
        folder: What each serves.
        settings: Their limits; the cores are shared out among them.
        bound: The listening socket.
        keys: Valid API keys.
        count: Workers.
        tell: Called when all have been started.

    Raises:
        ValueError: A worker cannot open the folder.
    """
    settings = replace(settings, **settings.shares(max(1, cores() // count))._asdict())
    context = multiprocessing.get_context("spawn")
    stopping: list[int] = []
    before = {
        one: signal.signal(one, lambda number, frame: stopping.append(number))
        for one in (signal.SIGTERM, signal.SIGINT)
    }

    def start() -> BaseProcess:
        arguments = (folder, settings, bound, tuple(keys), os.getpid())
        process = context.Process(target=work, args=arguments)
        process.start()
        return process

    places = [_Place(start(), time.monotonic()) for _ in range(count)]
    try:
        tell()
        while not stopping:
            wait([one.process.sentinel for one in places if one.resumes is None], timeout=_TICK)
            for one in places:
                if not stopping:
                    _tend(one, start, time.monotonic())
    finally:
        for one in places:
            one.process.terminate()  # SIGTERM: it answers what it accepted
        for one in places:
            one.process.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _tend(place: _Place, start: Callable[[], BaseProcess], now: float) -> None:
    """Start another process where one has ended and its pause is over.

    Raises:
        ValueError: It could not open the folder.
    """
    code = place.process.exitcode
    if place.resumes is None and code is not None:
        if code == _CANNOT_OPEN:
            raise ValueError("a worker could not open the folder; its reason is told above")
        young = now - place.started < _YOUNG
        place.deaths = place.deaths + 1 if young else 0
        pause = min(_LONGEST_PAUSE, _SHORTEST_PAUSE * 2**place.deaths) if young else 0.0
        place.resumes = now + pause
        when = f"in {pause:.1f} s" if young else "now"
        _log.warning(
            "leanformer: worker %d ended (%s); another starts %s", place.process.pid, code, when
        )
    if place.resumes is not None and now >= place.resumes:
        place.process, place.started, place.resumes = start(), now, None


def work(
    folder: Path, settings: Settings, bound: socket.socket, keys: tuple[str, ...], parent: int
) -> None:
    """Be one worker: open the folder and answer until a signal comes or the parent ends."""
    from leanformer.serve.app import create_app
    from leanformer.serve.served import open_served
    from leanformer.serve.server import run

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        served: Any = open_served(folder, settings)
    except (ValueError, OSError, ImportError) as error:
        _log.error("leanformer: %s", error)
        sys.exit(_CANNOT_OPEN)
    run(create_app(served, settings, keys=keys), settings, bound, parent)
