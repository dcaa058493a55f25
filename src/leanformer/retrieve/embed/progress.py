"""How far an embedding of files is, and how long the rest takes."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where an embedding is.

    Attributes:
        texts: Texts that have a vector, those of earlier runs included.
        texts_per_second: Of this run.
        share: Share of the input's bytes that is done.
        seconds_left: For the rest at the speed of this run.
        last: Whether it is the end.
    """

    texts: int
    texts_per_second: float
    share: float
    seconds_left: float
    last: bool = False


class Meter:
    """Measures the speed of a run from its first text on; what earlier runs did does not count."""

    def __init__(self, total_bytes: int) -> None:
        """Begin with an input of so many bytes."""
        self.total = max(1, total_bytes)
        self.began, self.first_texts, self.first_bytes = time.monotonic(), 0, 0

    def begin(self, texts: int, done: int) -> None:
        """So many texts and bytes are done before this run computes its first one."""
        self.began, self.first_texts, self.first_bytes = time.monotonic(), texts, done

    def progress(self, texts: int, done: float, *, last: bool = False) -> Progress:
        """Where it is after so many texts and bytes."""
        seconds = max(time.monotonic() - self.began, 1e-9)
        new = max(done - self.first_bytes, 1)
        left = 0.0 if last else max(0.0, self.total - done) * seconds / new
        share = 1.0 if last else min(1.0, done / self.total)
        return Progress(texts, (texts - self.first_texts) / seconds, share, left, last)
