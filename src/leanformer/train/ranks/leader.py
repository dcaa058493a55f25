"""What rank 0 does alone while the others wait, however long it takes.

    decide(find)    rank 0 finds something, every rank knows it
    lead(work)      rank 0 works, the others wait for it

An error of rank 0 is raised in all ranks, so that none waits for what does not come.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch.distributed as dist

from leanformer.core.ranks import follows
from leanformer.train.ranks.group import count_ranks, join_ranks

T = TypeVar("T")
_PAUSE = 1.0  # seconds between two words to those who wait


def decide(find: Callable[[], T]) -> T:
    """What `find` gives in rank 0; it is called there alone, and what it gives is pickled.

    Raises:
        ValueError: It failed in rank 0; that rank raises its own error.
    """
    if count_ranks() == 1:
        return find()
    join_ranks()
    if follows():
        while (said := _told(None)) is None:
            pass
        value, failure = said
        if failure:
            raise ValueError(f"rank 0: {failure}")
        return value  # type: ignore[no-any-return]
    found: Any = None
    failed: Exception | None = None
    with _still_at_it():
        try:
            found = find()
        except Exception as error:
            failed = error
    _told((found, "" if failed is None else str(failed) or type(failed).__name__))
    if failed is not None:
        raise failed
    return found  # type: ignore[no-any-return]


@contextmanager
def _still_at_it() -> Iterator[None]:
    """Within it, a thread tells the other ranks about once a second that rank 0 works: torch ends
    ranks that have heard nothing for half an hour, and steps may take longer.
    """
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(_PAUSE):
            _told(None)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _told(word: tuple[Any, str] | None) -> tuple[Any, str] | None:
    """What rank 0 says: None = still at it, else what it found and what failed."""
    said = [word]
    dist.broadcast_object_list(said, src=0)
    return said[0]


def lead(work: Callable[[], T]) -> T | None:
    """Work in rank 0 while the others wait.

    Returns:
        What it gave in rank 0; None in the others.

    Raises:
        ValueError: It failed in rank 0; that rank raises its own error.
    """
    found: list[T] = []
    decide(lambda: found.append(work()))
    return found[0] if found else None
