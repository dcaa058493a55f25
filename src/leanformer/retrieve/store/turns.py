"""Writers of a store take turns: those of one thread share the folder's lock, others are
refused."""

import os
import threading
from contextlib import ExitStack
from pathlib import Path
from weakref import WeakValueDictionary

from leanformer.core.storage.lock import locked_folder


class Turns:
    """The writers of a folder in this process: stores of one thread, which share the folder's lock
    and give it up with the last one.

    Attributes:
        lock: Held by the store that changes something.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._held, self._stores, self._owner = ExitStack(), 0, (0, 0)

    def enter(self, folder: Path) -> None:
        """Take the folder's lock, unless a store of this thread holds it.

        Raises:
            FolderInUse: Somebody else does.
        """
        own = (os.getpid(), threading.get_ident())
        if not self._stores or self._owner != own:
            self._held.enter_context(locked_folder(folder, "VectorStore.open(write=True)"))
        self._stores, self._owner = self._stores + 1, own

    def leave(self) -> None:
        """Let others write if this was the last store; within `entering`."""
        self._stores -= 1
        if not self._stores:
            self._held.close()


_all: WeakValueDictionary[Path, Turns] = WeakValueDictionary()
entering = threading.Lock()
"""Held by whoever enters or leaves."""


def take_turns(folder: Path) -> Turns:
    """The turns of the writers of `folder`, of whom the caller is one until it leaves.

    Raises:
        FolderInUse: Another thread or process writes there.
    """
    with entering:
        turns = _all.setdefault(folder.resolve(), Turns())
        turns.enter(folder)
    return turns
