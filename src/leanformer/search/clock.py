"""One clock for a whole search, and one estimate of what its end takes.

    used      seconds in which a process worked on this search, those before an interruption too
    ending    seconds that are still needed once training ends: timing, race, test, report; where
              the race may serve another form than the int8 graph, timing that one too
    free      60 minutes - used - ending         what may be trained

The end is estimated by what this machine has shown already: how fast each system answered dev, and
how long the exports of the whole teacher took.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from leanformer.core.machine.processor import multiplies_int8_exactly
from leanformer.core.record import Record

_SINGLE = 230  # texts that a round of latencies is worth, on one number of threads
_WARMUP = 2  # rounds that are not timed
_PER_REQUEST = 10  # texts, while memory is measured
_OPENED = 8.0  # seconds to open a system for that, in processes and with threads of its own
_RACED = 2_000  # texts that a form of the chosen model answers in the race
_EXPORTS = 2.0  # exports of the chosen model, in exports of the whole teacher
_FORMS = 5  # of the chosen model, each tried in a process of its own


@dataclass(frozen=True)
class Effort:
    """How much each system is measured.

    Attributes:
        rounds: How often it is timed.
        texts: Texts of the loads that fill batches.
        requests: That it answers while its memory is measured.
    """

    rounds: int
    texts: int
    requests: int


WHOLE, SHORT = Effort(7, 256, 200), Effort(3, 128, 50)
"""The usual effort, and the one where that would take over a quarter of the time."""


class Clock:
    """What a search has used of its time.

    Args:
        record: The record of the search; a `session` event is written into it.
        minutes: What the search may take.
        now: The clock, in seconds.
        one_thread: Whether everything is timed on one thread alone.
    """

    def __init__(
        self,
        record: Record,
        minutes: float,
        now: Callable[[], float] = time.monotonic,
        *,
        one_thread: bool = False,
    ) -> None:
        self.record, self.minutes, self._now = record, minutes, now
        self._threads = 1 if one_thread else 2  # numbers of threads that loads are timed with
        self._before = worked(record.events())
        self._began = now()
        self.answers: dict[str, float] = {}
        record.write("session")

    @property
    def used(self) -> float:
        """Seconds."""
        return self._before + self._now() - self._began

    @property
    def ending(self) -> float:
        """Seconds that the end of the search takes, with the systems that have entered so far."""
        raced = _RACED * max(self.answers.values(), default=0.0)
        effort = self.effort
        again = 0.0 if multiplies_int8_exactly() else self._timing(replace(effort, requests=0))
        timing = self._timing(effort)
        tried = _FORMS * _OPENED if self.answers else 0.0
        return timing + raced + tried + again + _EXPORTS * self.exports

    @property
    def effort(self) -> Effort:
        """How much each system is measured."""
        return WHOLE if 4 * self._timing(WHOLE) <= 60 * self.minutes else SHORT

    def _timing(self, effort: Effort) -> float:
        """Seconds to measure all systems that have entered."""
        texts = self._texts(effort)
        return sum(texts * one + _OPENED for one in self.answers.values())

    def _texts(self, effort: Effort) -> int:
        """Texts that a system answers while it is measured."""
        batches = (1 + self._threads) * effort.texts  # one load is unsorted
        timed = (effort.rounds + _WARMUP) * (self._threads * _SINGLE + batches)
        return timed + _PER_REQUEST * effort.requests

    @property
    def exports(self) -> float:
        """Seconds that exporting the whole teacher took, by the record."""
        events = self.record.events()
        return float(sum(event["seconds"] for event in events if event["event"] == "export"))

    @property
    def free(self) -> float:
        """Seconds that may be trained, with one student more to be exported and measured."""
        fastest = min(self.answers.values(), default=0.0)
        student = self._texts(self.effort) * fastest + _OPENED + self.exports
        return 60 * self.minutes - self.used - self.ending - student

    def entered(self, name: str, seconds: float, texts: int) -> None:
        """A system has answered so many texts of dev in so many seconds."""
        self.answers[name] = seconds / max(1, texts)

    def __str__(self) -> str:
        return f"{self.used / 60:.1f} of {self.minutes:g} min"


def worked(events: Sequence[Mapping[str, Any]]) -> float:
    """Seconds between the first and the last event of each session in a record."""
    seconds, latest = 0.0, math.inf  # nobody works before the first session
    for event in events:
        now = _time(event)
        if event["event"] == "session":
            latest = now  # nor between two
        elif now > latest:  # an event of a finished step that is told again has its former time
            seconds, latest = seconds + now - latest, now
    return seconds


def _time(event: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()
