"""What one rank does while the others wait, however long it takes.

A barrier gives up after half an hour, and a corpus may take longer to tokenize. So the first rank
works in a thread and tells the others about once a second that it is still at it.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist

from leanformer.train.ranks import count_ranks

T = TypeVar("T")
_PAUSE = 1.0  # seconds between two words to those who wait


def on_first_rank(work: Callable[[], T]) -> T | None:
    """What `work` gives, on rank 0; None on the others, once it is done.

    Args:
        work: Called on rank 0 alone. It holds no lock of a thread that the caller took.

    Raises:
        ValueError: `work` failed on rank 0; the others say so too.
    """
    if count_ranks() == 1:
        return work()
    if dist.get_rank() != 0:
        while (ended := _told(None)) is None:
            pass
        if ended:
            raise ValueError(f"rank 0: {ended}")
        return None
    found: list[T] = []
    failed: list[BaseException] = []

    def do() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_PAUSE)
        if thread.is_alive():
            _told(None)
    _told(str(failed[0]) or type(failed[0]).__name__ if failed else "")
    if failed:
        raise failed[0]
    return found[0]


def _told(word: str | None) -> Any:
    """What rank 0 says: None = still at it, "" = done, else what failed."""
    said = [word]
    dist.broadcast_object_list(said, src=0)
    return said[0]
