"""A served search index follows its folder: new passages are found without another start.

    every few seconds:   another version? ──▶ open it beside the one in use ──▶ swap

A look costs a glance at three files. Searches that have begun end in the version that they began
in; a version that cannot be read is logged and passed over, and the former one is served on.
"""

import threading

from leanformer.serve.served import Index


class Follower:
    """A thread that looks for new versions of an index, from `start` to `close`."""

    def __init__(self, index: Index, seconds: float) -> None:
        """Follow `index`.

        Args:
            index: The open index.
            seconds: From the end of one look to the next; 0 = never.
        """
        self._index, self._seconds = index, seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="follow", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        if self._seconds:
            self._thread.start()

    def close(self) -> None:
        """Look no more; a version that is being opened is not waited for."""
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.wait(self._seconds):
            self._index.follow()
