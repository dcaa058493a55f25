"""The progress of a pre-training in the terminal: one line that moves, and one per evaluation."""

import sys
import time
from typing import Any

from rich.console import Console

_MIB, _GIB = 2**20, 2**30
_SCALES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class TrainingWatcher:
    """Shows what a pre-training tells; called with words or a `pretrain.journal.Status`."""

    def __init__(self) -> None:
        # Paths and samples may hold brackets, which are markup to the console.
        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.shown = 0.0

    def __call__(self, news: Any) -> None:
        """Show one piece of news."""
        last = not isinstance(news, str) and (news.evaluation or news.step == news.steps)
        now = time.monotonic()
        if not last and now - self.shown < self._pause():
            return
        self.shown = now
        if isinstance(news, str):
            self._moving(news)
            return
        text = status_line(news)
        if last:
            self.console.print(text, soft_wrap=True)
        else:
            self._moving(text)

    def _pause(self) -> float:
        """Seconds between two lines: often on a terminal, rarely in a log file."""
        return 0.2 if sys.stderr.isatty() else 20.0

    def _moving(self, text: str) -> None:
        if sys.stderr.isatty():
            self.console.print(text, end="\r", overflow="ellipsis", no_wrap=True)
        else:
            self.console.print(text, soft_wrap=True)


def status_line(status: Any) -> str:
    """Where a training is, on one line."""
    parts = [f"step {status.step}/{status.steps}", f"loss {status.loss:.4f}"]
    if status.evaluation is not None:
        found = status.evaluation
        parts.append(f"held out {found.loss:.4f} (perplexity {found.perplexity:.4g})")
        if found.word_perplexity is None:
            parts.append(f"accuracy {found.accuracy:.1%}")
    parts += [f"{short(status.tokens)} tokens", f"{short(status.tokens_per_second)} tokens/s"]
    parts += [f"MFU {status.mfu:.0%}"] if status.mfu is not None else []
    parts += [memory(status.memory)] if status.memory is not None else []
    return "  ".join([*parts, f"{span(status.seconds_left)} left"])


def short(number: float) -> str:
    """A number with three digits and k, M or G."""
    for scale, letter in _SCALES:
        if number >= scale:
            return f"{number / scale:.3g}{letter}"
    return f"{number:.3g}"


def memory(size: float) -> str:
    """Bytes as MiB or GiB."""
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"


def span(seconds: float) -> str:
    """Seconds as hours, minutes or seconds."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"
    return f"{int(seconds // 60)} min" if seconds >= 120 else f"{seconds:.0f} s"
