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
from datetime import datetime
from typing import Any

from leanformer.core.machine.processor import multiplies_int8_exactly
from leanformer.core.record import Record

_ROUNDS, _FEWEST = 7, 3  # of timing; the fewest where more would take over a quarter of the time
_PER_ROUND, _ONE_THREAD = 1_200, 750  # texts in a round of all loads; if each is timed once only
_WARMUP, _MEMORY = 2, 2_000  # rounds before that, and texts while its memory is measured
_OPENED = 8.0  # seconds to open a system for that, in processes and with threads of its own
_RACED = 2_000  # texts that a form of the chosen model answers in the race
_EXPORTS = 2.0  # exports of the chosen model, in exports of the whole teacher
_FORMS = 5  # of the chosen model, each tried in a process of its own


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
        self._round = _ONE_THREAD if one_thread else _PER_ROUND
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
        again = 0.0 if multiplies_int8_exactly() else self._timing(self.rounds, 0)
        timing = self._timing(self.rounds, _MEMORY)
        tried = _FORMS * _OPENED if self.answers else 0.0
        return timing + raced + tried + again + _EXPORTS * self.exports

    @property
    def rounds(self) -> int:
        """How often each system is timed."""
        whole = self._timing(_ROUNDS, _MEMORY)
        return _ROUNDS if 4 * whole <= 60 * self.minutes else _FEWEST

    def _timing(self, rounds: int, besides: int) -> float:
        """Seconds to time all systems that have entered, and for so many texts besides."""
        texts = (rounds + _WARMUP) * self._round + besides
        return sum(texts * one + _OPENED for one in self.answers.values())

    @property
    def exports(self) -> float:
        """Seconds that exporting the whole teacher took, by the record."""
        events = self.record.events()
        return float(sum(event["seconds"] for event in events if event["event"] == "export"))

    @property
    def free(self) -> float:
        """Seconds that may be trained, with one student more to be exported, timed and judged."""
        texts = (self.rounds + _WARMUP) * self._round + _MEMORY
        student = texts * min(self.answers.values(), default=0.0) + _OPENED + self.exports
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
