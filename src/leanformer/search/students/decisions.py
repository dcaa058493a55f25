"""What becomes of each student: kept, rejected, or skipped for want of time.

Decisions are in the record, and what was decided before an interruption stays decided: a resumed
search reads them there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from leanformer.measure.promise import Promise
from leanformer.report.units import at_least, percent, share
from leanformer.search.contest import Contest
from leanformer.search.students.climb import Trial
from leanformer.search.students.ladder import Rung


@dataclass(frozen=True)
class Decisions:
    """The decisions of one search.

    Attributes:
        contest: All that the search knows.
        provable: Whether dev can prove that the whole teacher in int8 keeps enough, or in fp32
            where it has no int8 graph. If not, it can prove nothing, and students are judged by
            their estimates.
    """

    contest: Contest
    provable: bool

    def affordable(self, rung: Rung, trials: Sequence[Trial]) -> bool:
        """Whether the rung would end in time; the first is always tried."""
        if self._decided(rung):
            return not self._decided(rung, "skipped")
        if not trials:
            return True
        last = trials[-1]
        expected = last.seconds * (rung.cost + 1) / (last.rung.cost + 1)
        return expected <= self.contest.free

    def skip(self, rung: Rung) -> None:
        """A rung that there is no time for."""
        reason = f"it would not end within {self.contest.request.minutes:g} minutes"
        self._write(rung, "skipped", reason)
        self.contest.say(f"student {rung.name}: skipped, {reason}")

    def fail(self, rung: Rung, reason: str) -> None:
        """A rung of which no model came: one of its steps had no effect."""
        self.contest.say(f"student {rung.name}: {reason}")
        self._write(rung, "rejected", reason)

    def keep(self, rung: Rung, promise: Promise) -> bool:
        """Whether the rung is kept."""
        kept = promise.proven if self.provable else promise.holds
        bound = f"at least {at_least(promise.lower)}" if promise.lower > 0 else "nothing for sure"
        reason = (
            f"keeps {percent(promise.kept, 2)} of the teacher's quality on dev, {bound} with "
            f"{100 * promise.confidence:g}% confidence; {share(promise.keep)} is asked"
        )
        self.contest.say(f"student {rung.name}: {reason}")
        if self._decided(rung):
            return self._decided(rung, "kept")
        self._write(rung, "kept" if kept else "rejected", reason)
        return kept

    def trained(self, name: str) -> float:
        """Seconds that the steps of a model took, by the record."""
        steps = self.contest.known("step")
        return float(sum(e["seconds"] for e in steps if e["model"] == name))

    def _write(self, rung: Rung, decision: str, reason: str) -> None:
        if not self._decided(rung):
            self.contest.record.write("choice", name=rung.name, decision=decision, reason=reason)

    def _decided(self, rung: Rung, *decisions: str) -> bool:
        """Whether the record says what became of the rung; one of `decisions`, where named."""
        return self.contest.decided(rung.name, *decisions)
