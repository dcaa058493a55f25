"""What becomes of each student: kept, rejected, or skipped for want of time.

What a training takes is estimated before it is begun, by the student that was trained last:

    seconds = epochs of it * (3 * its share of the teacher's layers + 1/2)     up to a factor

since a backward pass costs two forward passes, and the teacher is asked once per text. Before the
first one, the factor is how fast the teacher answered dev.

Decisions are in the record, and what was decided before an interruption stays decided: a resumed
search reads them there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from leanformer.measure.promise import Promise
from leanformer.report.units import at_least, percent, share
from leanformer.search.contest import Contest
from leanformer.search.entrants.chains import Chain
from leanformer.search.entry import TEACHER
from leanformer.search.request import examples_of
from leanformer.search.students.climb import Trial
from leanformer.search.students.ladder import Rung, Times, epochs_share, first_behind, time_of

_LEAST = 1 / 3  # of its epochs, for which a student is begun
_FIRST = 0.7  # of the time of the teacher's layers, at most, for what is tried first
_GAIN = 1.05  # times as fast as one that is kept: less is not worth a training


@dataclass(frozen=True)
class Decisions:
    """The decisions of one search.

    Attributes:
        contest: All that the search knows.
        provable: Whether dev can prove that the whole teacher in int8 keeps enough, or in fp32
            where it has no int8 graph. If not, it can prove nothing, and students are judged by
            their estimates.
        layers: Layers of the encoder that students are cut from.
        times: What a layer takes, by its widths; None = it was not measured.
        teacher_behind: The proven cascade of n-grams before the whole teacher; None = there is
            none, and a student has to keep enough by itself.
    """

    contest: Contest
    provable: bool
    layers: int = 1
    times: Times | None = None
    teacher_behind: Chain | None = None

    def first(self, rungs: Sequence[Rung]) -> int:
        """Where in the ladder to begin: at a rung that is likely to hold and ends in time.

        Where time is too short for it, nearer to the teacher, where fewer epochs are needed; but
        not so near that little would be gained if it held: there a shortened training is the better
        bet. The record keeps the answer, so that a search that is resumed begins there too.
        """
        known = [one["name"] for one in self.contest.known("first") if one["name"] in _names(rungs)]
        if known:
            return _names(rungs).index(known[-1])
        place = first_behind(
            rungs, self.layers, self.contest.request.keep, self._shares(), self.times
        )
        whole = time_of(Rung(layers=self.layers), self.times)
        while place and not self._ends(rungs[place], None, ()):
            if time_of(rungs[place - 1], self.times) > _FIRST * whole:
                break
            place -= 1
        self.contest.record.write("first", name=rungs[place].name)
        return place

    def _shares(self) -> list[tuple[float, float]]:
        """Shares that n-grams may pass on, each with what is kept of them for sure."""
        if self.teacher_behind is None:
            return []
        rows = self.teacher_behind.gated.rows
        return [(row.rate, row.promise.lower) for row in rows if row.promise.proven]

    def affordable(self, rung: Rung, start: Rung | None, trials: Sequence[Trial]) -> bool:
        """Whether a third of the rung's epochs would end in time; the first is always tried."""
        if self._decided(rung):
            return not self._decided(rung, "skipped")
        return not trials or self._ends(rung, start, trials)

    def worthwhile(self, kept: Rung, rung: Rung) -> bool:
        """Whether the layers of a rung are faster than those of one that is kept by 5 %."""
        return time_of(kept, self.times) >= _GAIN * time_of(rung, self.times)

    def _ends(self, rung: Rung, start: Rung | None, trials: Sequence[Trial]) -> bool:
        """Whether a third of its epochs would end in the time that is free."""
        asked = self.contest.request.student_setup(self._examples).epochs
        work = epochs_share(rung, start, self.layers) * asked * self._passes(rung)
        if trials:
            last = trials[-1]
            each = last.seconds / (self._epochs_of(last.rung, asked) * self._passes(last.rung))
        else:
            clock = self.contest.clock
            answers = 0.0 if clock is None else clock.answers.get(TEACHER, 0.0)
            each = self._examples * answers
        return _LEAST * work * each <= self.contest.free

    def _passes(self, rung: Rung) -> float:
        """Forward passes of the teacher that an epoch over one text is worth."""
        return 3 * rung.cost / self.layers + 0.5

    def _epochs_of(self, rung: Rung, asked: float) -> float:
        """Epochs that a student was trained, by the record."""
        steps = [one for one in self.contest.known("step") if one["model"] == rung.name]
        trained = [one["settings"]["train"] for one in steps if one["step"] == "distill"]
        return float(trained[0].get("epochs", asked)) if trained else asked

    @property
    def _examples(self) -> int:
        return examples_of(self.contest.request, self.contest.dataset)

    def skip(self, rung: Rung) -> None:
        """A rung that there is no time for."""
        reason = f"it would not end within {self.contest.request.minutes:g} minutes"
        self._write(rung, "skipped", reason)
        self.contest.say(f"student {rung.name}: skipped, {reason}")

    def fail(self, rung: Rung, reason: str) -> None:
        """A rung of which no model came: one of its steps had no effect."""
        self.contest.say(f"student {rung.name}: {reason}")
        self._write(rung, "rejected", reason)

    def keep(self, rung: Rung, promise: Promise, behind: Chain | None = None) -> bool:
        """Whether the rung is kept: by itself, or behind n-grams that it makes faster.

        Args:
            rung: Which.
            promise: What dev says of the student by itself.
            behind: The proven cascade of n-grams before it; None = there is none.
        """
        faster = behind is not None and self._faster(rung, behind)
        kept = self.keeps(promise) or faster
        bound = f"at least {at_least(promise.lower)}" if promise.lower > 0 else "nothing for sure"
        reason = (
            f"keeps {percent(promise.kept, 2)} of the teacher's quality on dev, {bound} with "
            f"{100 * promise.confidence:g}% confidence; {share(promise.keep)} is asked"
        )
        if behind is not None and faster:
            passed = behind.gated.proven
            assert passed is not None
            reason += (
                f". Behind n-grams that pass {percent(passed.rate, 1)} of the texts on to it, "
                f"{percent(passed.promise.kept, 2)}, at least {at_least(passed.promise.lower)}"
            )
        self.contest.say(f"student {rung.name}: {reason}")
        if self._decided(rung):
            return self._decided(rung, "kept")
        self._write(rung, "kept" if kept else "rejected", reason)
        return kept

    def _faster(self, rung: Rung, behind: Chain) -> bool:
        """Whether texts that n-grams pass on take less time than with the whole teacher."""
        ours, other = behind.gated.proven, self.teacher_behind
        theirs = None if other is None else other.gated.proven
        assert ours is not None
        whole = time_of(Rung(layers=self.layers), self.times)
        return theirs is None or ours.rate * time_of(rung, self.times) < theirs.rate * whole

    def keeps(self, promise: Promise) -> bool:
        """Whether dev says that enough is kept: by proof where it can prove anything."""
        return promise.proven if self.provable else promise.holds

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


def _names(rungs: Sequence[Rung]) -> list[str]:
    return [rung.name for rung in rungs]
