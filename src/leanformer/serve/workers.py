"""Several processes that answer at one socket, and the one that looks after them.

The system hands each connection to a worker that is free to accept it. A worker that dies is
started again, after a pause if it died young; requests that it had begun are lost with it. One that
cannot open the folder ends them all with its reason, because the next would not open it either.
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
_LONGEST_PAUSE = 30.0  # seconds


@dataclass
class _Worker:
    process: BaseProcess
    started: float
    deaths: int = 0


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
        settings: Their limits; threads are shared out among them where none are named.
        bound: The listening socket.
        keys: Valid API keys.
        count: Workers.
        tell: Called when all have been started.

    Raises:
        ValueError: A worker cannot open the folder.
    """
    if not settings.threads:
        settings = replace(settings, threads=max(1, cores() // count))
    context = multiprocessing.get_context("spawn")
    stopping: list[int] = []
    before = {
        one: signal.signal(one, lambda number, frame: stopping.append(number))
        for one in (signal.SIGTERM, signal.SIGINT)
    }

    def start(deaths: int = 0) -> _Worker:
        arguments = (folder, settings, bound, tuple(keys), os.getpid())
        process = context.Process(target=work, args=arguments)
        process.start()
        return _Worker(process, time.monotonic(), deaths)

    workers = [start() for _ in range(count)]
    try:
        tell()
        while not stopping:
            wait([one.process.sentinel for one in workers], timeout=0.2)
            for place, one in enumerate(workers):
                if not stopping and one.process.exitcode is not None:
                    workers[place] = _again(one, start, stopping)
    finally:
        for one in workers:
            one.process.terminate()  # SIGTERM: it answers what it accepted
        for one in workers:
            one.process.join()
        for number, handler in before.items():
            signal.signal(number, handler)


def _again(dead: _Worker, start: Callable[[int], _Worker], stopping: list[int]) -> _Worker:
    """A new worker in the place of a dead one."""
    code = dead.process.exitcode
    if code == _CANNOT_OPEN:
        raise ValueError("a worker could not open the folder; its reason is told above")
    young = time.monotonic() - dead.started < _YOUNG
    deaths = dead.deaths + 1 if young else 0
    _log.warning("leanformer: worker %d ended (%s); another starts", dead.process.pid, code)
    resumes = time.monotonic() + min(_LONGEST_PAUSE, 0.1 * 2**deaths)
    while time.monotonic() < resumes and not stopping:
        time.sleep(0.05)
    return start(deaths)


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
