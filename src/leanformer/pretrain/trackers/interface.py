"""The interface of trackers: programs that draw the curves of trainings, beside `events.jsonl`."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The run that is tracked.

    Attributes:
        name: How the tracker calls it.
        key: What tells it from others, the same when it is resumed.
        folder: Where its results are.
        settings: Its recipe, as JSON values.
        step: Steps that were done before; what a tracker has beyond is replaced or ignored.
    """

    name: str
    key: str
    folder: Path
    settings: Mapping[str, Any]
    step: int


class Tracker(ABC):
    """Sends the numbers of a run to one program; made when its training begins or goes on.

    Attributes:
        module: What is imported.
        package: What `pip install` calls it.
    """

    module: ClassVar[str]
    package: ClassVar[str]

    @abstractmethod
    def __init__(self, run: TrackedRun) -> None:
        """Begin, or go on after `run.step`."""

    @abstractmethod
    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Values by name, e.g. "train/loss", after `step`."""

    @abstractmethod
    def text(self, step: int, name: str, text: str) -> None:
        """A text, e.g. a sample, after `step`."""

    @abstractmethod
    def end(self) -> None:
        """Flush and close; the run may go on another time."""


def installed(tracker: type[Tracker]) -> bool:
    """Whether what it needs can be imported."""
    try:
        importlib.import_module(tracker.module)
    except ImportError:
        return False
    return True
