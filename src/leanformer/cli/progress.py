"""Progress in the terminal: one line that moves while a training runs, and lines that stay."""

import sys
import time
from typing import Any

from rich.console import Console


class Watcher:
    """Shows what a run reports; called with a name and a text or a training's progress."""

    def __init__(self) -> None:
        # Labels and paths may hold brackets, which are markup to the console.
        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.shown = 0.0

    def __call__(self, name: str, news: Any) -> None:
        """Show one piece of news."""
        if isinstance(news, str):
            if name == "plan":
                self.console.print(news, soft_wrap=True)
            elif name == "search":
                self.console.print(news, style="bold")
            else:
                self.console.print(f"{name}: {news}")
            return
        now = time.monotonic()
        last = news.step == news.steps
        if news.quality is None and not last and now - self.shown < self._pause():
            return
        self.shown = now
        self._line(name, news)

    def _pause(self) -> float:
        """Seconds between two lines: often on a terminal, rarely in a log file."""
        return 0.2 if sys.stderr.isatty() else 20.0

    def _line(self, name: str, news: Any) -> None:
        left = news.seconds / max(1, news.step) * (news.steps - news.step)
        text = f"  {name}  step {news.step}/{news.steps}  loss {news.loss:.4f}  {left:.0f} s left"
        if news.quality is not None:
            self.console.print(f"{text}  dev {news.quality:.4f}")
        elif sys.stderr.isatty():
            self.console.print(text, end="\r", overflow="ellipsis", no_wrap=True)
        else:
            self.console.print(text)
