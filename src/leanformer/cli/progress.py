"""Progress in the terminal: one line that moves while something runs, and lines that stay."""

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console

from leanformer.cli.training_progress import span

if TYPE_CHECKING:
    from leanformer.retrieve.embed.progress import Progress


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


class EmbedWatcher:
    """Shows how far an embedding is; called with a `retrieve.embed.progress.Progress`."""

    def __init__(self) -> None:
        # Paths may hold brackets, which are markup to the console.
        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.shown = 0.0

    def __call__(self, progress: "Progress") -> None:
        """Show one piece of news."""
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if not progress.last and now - self.shown < (0.2 if terminal else 20.0):
            return
        self.shown = now
        if terminal and not progress.last:
            self.console.print(progress_line(progress), end="\r", overflow="ellipsis", no_wrap=True)
        else:
            self.console.print(progress_line(progress), soft_wrap=True)


def progress_line(progress: "Progress") -> str:
    """Where an embedding is, on one line."""
    done = f"{progress.texts:,} texts  {progress.share:.0%}"
    left = "" if progress.last else f"  {span(progress.seconds_left)} left"
    return f"  {done}  {progress.texts_per_second:,.0f} texts/s{left}"
