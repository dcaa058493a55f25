"""Whether a training ends in time, judged by its first steps; one that does not is shortened.

    step 10 of 900, 0.4 s each: 360 s, and 240 s may be taken   ->   two thirds of the epochs

A training may take a share of the time that is free, so that others can follow; where too few
epochs would fit into that, it may take more.

What was decided is in the record, so that a search that is resumed trains as it began. Where the
teacher's outputs are kept on disk, later epochs cost less than the first one, about

    later / first = 3 s / (3 s + t)      s, t: work of a forward pass of student and teacher

That is a guess: where it decides, the second epoch is waited for and timed.
"""

import math
import time
from typing import Any

from leanformer.search.contest import Contest
from leanformer.train.course import Progress

LEAST = 0.5
"""Epochs of the labelled texts below which a training is none."""
_SKIPPED = 2  # steps that find cold caches
_STEPS = 10  # after so many is judged
_HOPELESS = 2.0  # times what is free: such a training is not waited for


class TooLong(Exception):
    """A training would not end in time.

    Attributes:
        epochs: How many would; 0 = none worth the name.
    """

    def __init__(self, epochs: float) -> None:
        super().__init__("its training would not end in time")
        self.epochs = epochs


class Pace:
    """Watches the first steps of one training.

    Args:
        contest: The contest, whose clock says what is free.
        name: Of the model.
        epochs: That it is to be trained.
        share: Of the free time that it may take.
        most: Share that it may take where fewer than `enough` epochs fit into the usual one.
        enough: Epochs that are worth it.
        later: What a step costs in later epochs, as a share of one in the first.
        least: Epochs below which it is no training.
    """

    def __init__(
        self,
        contest: Contest,
        name: str,
        epochs: float,
        *,
        share: float = 1.0,
        most: float = 1.0,
        enough: float = 0.0,
        later: float = 1.0,
        least: float = LEAST,
    ) -> None:
        self.contest, self.name, self.epochs = contest, name, epochs
        self.share, self.most, self.enough, self.later = share, most, enough, later
        self.least = least
        self.counted: int | None = None  # the step from which steps are counted
        self.began = 0.0
        self.judged = decided(contest, name) is not None

    def __call__(self, name: str, news: Any) -> None:
        """Pass news on; judge the training at its tenth step.

        Raises:
            TooLong: It would not end in time.
        """
        if self.contest.watch is not None:
            self.contest.watch(name, news)
        if self.judged or name != self.name or not isinstance(news, Progress):
            return
        self.counted = news.step if self.counted is None else self.counted
        done = news.step - self.counted
        if done == _SKIPPED:
            self.began = time.monotonic()
        if done == _STEPS:
            self._judge(news, (time.monotonic() - self.began) / (_STEPS - _SKIPPED))

    def _judge(self, news: Progress, each: float) -> None:
        first = news.steps / self.epochs  # steps of the first epoch
        later = self.later if news.step < first else 1.0  # or they are what was timed
        left = max(0.0, first - news.step) + later * (news.steps - max(first, news.step))
        expected, free = each * left, self.share * self.contest.free
        if later < 1 and self.epochs > 1 and free < expected <= _HOPELESS * free:
            self.counted = math.ceil(first)
            return
        self.judged, epochs = True, self.epochs
        if expected > free:
            epochs = self._fitting(each * first, later)
            self.contest.say(_sentence(self.name, expected, free, epochs))
        self.contest.record.write(
            "pace", name=self.name, epochs=epochs, asked=self.epochs, seconds=expected
        )
        if epochs < self.epochs:
            raise TooLong(epochs)

    def _fitting(self, epoch: float, later: float) -> float:
        """Epochs that fit into the share, or as many as are enough, into the largest share."""
        usual, most = (
            _fitting(share * self.contest.free, epoch, later, self.least)
            for share in (self.share, self.most)
        )
        return min(self.epochs, max(usual, min(self.enough, most)))


def decided(contest: Contest, name: str) -> float | None:
    """How many epochs a training was given by its first steps; None = they were not judged yet."""
    found = [event["epochs"] for event in contest.known("pace") if event["name"] == name]
    return float(found[-1]) if found else None


def later_share(student: float, teacher: float) -> float:
    """What a step costs once the teacher's outputs are on disk, as a share of one before.

    Args:
        student: Work of a forward pass of the student; its backward pass is twice that.
        teacher: Work of a forward pass of the teacher, in the same unit.
    """
    return 3 * student / (3 * student + teacher)


def _fitting(free: float, epoch: float, later: float, least: float) -> float:
    """How many epochs fit, where the first takes `epoch` seconds; 0 where fewer than `least` do."""
    fits = free / epoch if free < epoch else 1 + (free - epoch) / (later * epoch)
    fine = 10 if fits >= 1 else 100
    fits = int(fine * fits) / fine
    return fits if fits >= least else 0.0


def _sentence(name: str, expected: float, free: float, epochs: float) -> str:
    told = f"{name}: {expected:.0f} s of training, and it may take {max(0.0, free):.0f} s"
    return f"{told}; shortened to {epochs:g} epochs" if epochs else f"{told}; none is begun"
