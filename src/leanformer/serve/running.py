"""A server in this process: its socket, its event loop, its end.

    SIGTERM, SIGINT ──▶ new requests: 503 ──▶ accepted ones are answered ──▶ exit code 0

The socket stays open until the last accepted request is answered, so that whoever asks meanwhile is
told to go elsewhere instead of being cut off. A second signal closes it at once.
"""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from leanformer.serve.app import create_app
from leanformer.serve.guard import Guard
from leanformer.serve.served import is_index, open_served
from leanformer.serve.settings import Settings

_BACKLOG = 2048
_KEEP_ALIVE = 30  # seconds that an idle connection stays open


class Server(uvicorn.Server):
    """uvicorn's server, with an end that answers what was accepted."""

    def __init__(self, config: Any, guard: Guard, parent: int | None = None) -> None:
        """Serve `guard`; stop with the process `parent`, if it is a worker of one."""
        super().__init__(config)
        self._guard, self._parent = guard, parent

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop after the accepted requests; at once if told again."""
        if self._guard.stopping:
            self.should_exit = True
        self._guard.stopping = True

    async def on_tick(self, counter: int) -> bool:
        """Ten times per second: whether to end."""
        if self._parent is not None and os.getppid() != self._parent:
            self._guard.stopping = True
        if self._guard.stopping and not self._guard.in_flight:
            self.should_exit = True
        ended: bool = await super().on_tick(counter)
        return ended


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; connections wait in it until a server accepts them.

    Args:
        host: Name or address.
        port: Port; 0 = one that is free.

    Raises:
        OSError: The port is taken or needs rights, or the host is not one of this machine.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"port: {port} is not between 0 and 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(_BACKLOG)
        except BaseException:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        raise OSError(_unbound(host, port, error)) from error
    bound.setblocking(False)
    return bound


def _unbound(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken by another server; stop that one, or give another "
            "port (0 = any that is free)"
        )
    if number == errno.EACCES:
        return f"port {port} of {host} needs rights that you lack; give one from 1024 up"
    return f"host {host!r}: no server can listen there ({error}); try 127.0.0.1 or 0.0.0.0"


def address_of(bound: socket.socket) -> str:
    """The address at which a socket is reached, as a browser takes it."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    folder: Path,
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    keys: Sequence[str] = (),
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """Serve a folder until a signal comes.

    Args:
        folder: An exported system or a search index.
        settings: The limits, of each worker.
        host: Name or address to listen at.
        port: Port; 0 = one that is free.
        workers: Processes that answer; each opens the folder.
        keys: Valid API keys; none = every request is answered.
        tell: Told the address.

    Raises:
        FileNotFoundError: The folder is neither.
        ValueError: A file is damaged, a setting does not fit, or no worker could start.
        OSError: The address is taken.
    """
    is_index(folder)
    with bind(host, port) as bound:
        told = f"{address_of(bound)}  (Ctrl-C stops)"
        if workers > 1:
            from leanformer.serve.workers import supervise

            supervise(folder, settings, bound, keys, workers, lambda: tell(told))
            return
        guard = create_app(open_served(folder, settings), settings, keys=keys)
        tell(told)
        run(guard, settings, bound)


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
