"""Values that each process opens for itself, since threads and handles do not survive a fork.

A forked child inherits memory without the threads that work on it, and locks in the state of that
moment. So a child opens its own value at its first call. The inherited value is kept alive and
never touched, because freeing it would wait for threads that do not exist.
"""

import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that is opened at once, and again in each forked child that asks for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        """Open the value with `make`, which is called from one thread at a time."""
        self._make, self._lock = make, threading.Lock()
        self._value: T | None = make()
        _opened.add(self)

    def get(self) -> T:
        """The value that this process opened."""
        value = self._value
        if value is None:
            with self._lock:
                if self._value is None:
                    self._value = self._make()
                value = self._value
        return value

    def _forget(self) -> None:
        _inherited.append(self._value)
        self._value, self._lock = None, threading.Lock()


_opened: "weakref.WeakSet[PerProcess[Any]]" = weakref.WeakSet()
_inherited: list[Any] = []


_with_torch = False


def forked_with_torch() -> bool:
    """Whether this process was forked from one that had torch.

    Such a process computes with one thread: OpenMP waits forever for the threads that it did not
    inherit. One that imported torch itself starts threads of its own.
    """
    return _with_torch


def _after_fork() -> None:
    global _with_torch
    for one in list(_opened):
        one._forget()
    _with_torch = _with_torch or "torch" in sys.modules


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_after_fork)
