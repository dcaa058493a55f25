"""How many threads a computation may have."""

import os
import warnings

from leanformer.core.ranges import Count, Threads, check_number


def cores() -> int:
    """Cores that this process may use; where the system does not tell (Windows, macOS), all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int | None, place: str = "threads") -> None:
    """Refuse a number of threads that cannot be started; warn of more than there are cores.

    More threads than cores are allowed, because a test may want them, but they wait for each other.
    Some ten thousand end the process without a word.

    Args:
        threads: As asked; None = all cores.
        place: What the user called it.

    Raises:
        ValueError: There are none, or more than any machine needs.
    """
    if threads is None:
        return
    check_number(Count, threads, place)
    check_number(Threads, threads, place)
    if threads > cores():
        warnings.warn(
            f"{place}: {threads} threads share {cores()} cores and wait for each other; "
            f"{cores()} or fewer are faster",
            stacklevel=2,
        )
