"""Serve a folder: look at it, take the address, open it, answer until a signal comes."""

from collections.abc import Callable, Sequence
from pathlib import Path

from leanformer.serve.app import create_app
from leanformer.serve.served import is_index, open_served
from leanformer.serve.server import run
from leanformer.serve.settings import Settings
from leanformer.serve.sockets import address_of, bind
from leanformer.serve.workers import supervise


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
            supervise(folder, settings, bound, keys, workers, lambda: tell(told))
            return
        guard = create_app(open_served(folder, settings), settings, keys=keys)
        tell(told)
        run(guard, settings, bound)
