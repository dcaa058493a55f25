"""A server in this process: its event loop and its end.

    SIGTERM, SIGINT ──▶ new requests: 503 ──▶ accepted ones are answered ──▶ exit code 0

The socket stays open until the last accepted request is answered, so that whoever asks meanwhile is
told to go elsewhere instead of being cut off. A second signal closes it at once; so does the end of
the time that a request may take, where somebody does not read the answer.
"""

import os
import socket
import time
from typing import Any

import uvicorn

from leanformer.serve.guard import Guard
from leanformer.serve.settings import Settings

_IDLE = 2  # ticks without a request after which a server that stops ends
_KEEP_ALIVE = 30  # seconds that an idle connection stays open


class Server(uvicorn.Server):
    """uvicorn's server, with an end that answers what was accepted."""

    def __init__(self, config: Any, guard: Guard, parent: int | None = None) -> None:
        """Serve `guard`; stop with the process `parent`, if it is a worker of one."""
        super().__init__(config)
        self._guard, self._parent, self._idle = guard, parent, 0
        self._ends = float("inf")

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop after the accepted requests; at once if told again."""
        if self._guard.stopping:
            self.should_exit = True
        self._guard.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times per second: whether to end."""
        if self._parent is not None and os.getppid() != self._parent:
            self._guard.stopping = True
        self._idle, now = 0 if self._guard.in_flight else self._idle + 1, time.monotonic()
        if self._guard.stopping:
            self._ends = min(self._ends, now + (self.config.timeout_graceful_shutdown or 0))
            self.should_exit = self.should_exit or self._idle >= _IDLE or now > self._ends
        ended: bool = await super().on_tick(counter)
        return ended


def run(guard: Guard, settings: Settings, bound: socket.socket, parent: int | None = None) -> None:
    """Answer at a socket until a signal comes, or the parent process ends."""
    config = uvicorn.Config(
        guard,
        log_level="warning",
        access_log=False,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(settings.seconds) + 1,
    )
    Server(config, guard, parent).run(sockets=[bound])
