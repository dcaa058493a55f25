"""From a trained model to a small, fast, measured one.

    teacher      fine-tuned where the model has no head for the task
    baselines    what the user has today: PyTorch, ONNX Runtime, OpenVINO int8 of the whole teacher
    n-grams      fitted in seconds: the first rung, and the first part of cascades
    students     rungs of the ladder, each distilled, quantized and judged as it will be served
    cascades     a cheap system that passes on what it is unsure of, for each pair of them
    contest      all systems timed side by side; the fastest that keeps the quality is chosen
    finish       backends race, the test split is touched once, the report is written

Every part leaves its result on disk, so that a search that was stopped goes on where it was.
"""

import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from leanformer.core.machine.threads import cores
from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.storage.lock import one_at_a_time
from leanformer.core.workspace import Watch
from leanformer.recipe import knows_task
from leanformer.report import plan_lines, write_report
from leanformer.report.units import share
from leanformer.search.claim import claim, opened_test_before
from leanformer.search.clock import Clock
from leanformer.search.contest import Contest
from leanformer.search.describe import describe
from leanformer.search.entrants.baselines import enter_baselines
from leanformer.search.entrants.cascades import enter_cascades
from leanformer.search.entrants.chains import behind_ngrams, speed_up_left
from leanformer.search.entrants.ngrams import enter_ngrams
from leanformer.search.entrants.simplest import enter_simplest
from leanformer.search.entry import TEACHER, whole_teacher
from leanformer.search.finish import finish, finished
from leanformer.search.outcome import beside_majority
from leanformer.search.planning.plan import write_plan
from leanformer.search.planning.prepare import prepare
from leanformer.search.request import Request
from leanformer.search.students.climb import Trial, climb
from leanformer.search.students.decisions import Decisions
from leanformer.search.students.ladder import Rung, ladder
from leanformer.search.students.layer_times import layer_times
from leanformer.search.students.pace import TooLong
from leanformer.search.students.rounding import fails_by_rounding
from leanformer.search.students.trainer import OUTPUTS, Trainer

_WORTH = 1.1  # times as fast as what is found already: less is not worth a training


@one_at_a_time("out")
def compress(request: Request, out: Path, *, command: str = "", watch: Watch | None = None) -> Path:
    """Search, and write everything to `out`: the model, the record, the report.

    Args:
        request: What is asked.
        out: The folder; one that holds a search of the same data and model is gone on with, and
            what was trained there is used again where the request has changed.
        command: The command line that was given, for the report.
        watch: Called with a name and a progress (of a training) or a text (of anything else).

    Returns:
        The path of the HTML report; the model lies beside it in `model/`.

    Raises:
        OSError: A file is missing, the folder is taken or in use, or the disk is full.
        ValueError: Data or model are not as they must be.
    """
    out = out.resolve()  # the recipes of the students name paths in it
    dataset, opened, plan = prepare(request)
    contest = Contest(dataset, Record(out / "record.jsonl"), request, watch)
    claim(out, request, dataset, opened, contest.say)
    if request.threads:
        torch.set_num_threads(request.threads)
    if watch is not None:
        watch("plan", "\n".join(plan_lines(asdict(plan))))
    describe(contest.record, dataset, request, command)
    write_plan(contest.record, plan)
    if not finished(contest.record):
        one_thread = (request.threads or cores()) == 1
        contest.clock = Clock(contest.record, request.minutes, one_thread=one_thread)
        search = _Search(contest, out, opened.layers)
        search.teach((opened.model, opened.tokenizer))
        del opened  # the teacher is held by the contest
        search.climb()
        chains = enter_cascades(contest, out / "cascades")
        finish(contest, out, chains=chains, note=opened_test_before(out))
        shutil.rmtree(out / "work" / OUTPUTS, ignore_errors=True)
    return write_report(out / "record.jsonl", out / "report.html")


class _Search:
    """The steps of one search; what it knows is in its contest.

    Attributes:
        contest: All that the search knows.
        out: Its folder.
        layers: Layers of the encoder that students are cut from.
        trainer: What trains teacher and students.
        decisions: What became of each student.
    """

    def __init__(self, contest: Contest, out: Path, layers: int) -> None:
        self.contest, self.out, self.layers = contest, out, layers
        self.request, self.dataset = contest.request, contest.dataset
        self.trainer = Trainer(contest, out, layers)
        self.decisions = Decisions(contest, provable=False)

    def teach(self, opened: tuple[Any, Any]) -> None:
        """Have a teacher: fine-tune the model unless it knows the task.

        Args:
            opened: The model and its tokenizer.
        """
        request = self.request
        if knows_task(request.model, self.dataset, fresh_head=request.fresh_head):
            self.contest.enter_teacher(request.model, opened)
        else:
            done = self.trainer.finetune()
            self.contest.enter_teacher(str(done.saved), (done.model, done.tokenizer))
        enter_baselines(self.contest, self.out / "baselines")
        self._check_teacher()
        enter_simplest(self.contest, self.out / "simplest")
        enter_ngrams(self.contest, self.out / "ngrams")
        whole = whole_teacher(self.contest.entries).name
        self.decisions = Decisions(self.contest, self.contest.promise(whole).proven)

    def _check_teacher(self) -> None:
        """Refuse a teacher that has nothing to keep, and say so of one that is worth little."""
        task = self.dataset.task
        self.contest.check_teacher()
        judged = self.contest.entries[TEACHER].judged
        beside = beside_majority(judged, task, self.request.confidence)
        if beside is not None and not beside["better"]:
            self._say(
                f"the teacher is no better than always answering the commonest class, "
                f"{beside['label']!r} ({beside['share']:.1%} of dev); train it longer "
                "(--teacher-epochs), or judge by another --metric"
            )

    def climb(self) -> None:
        """Train students, from one that is likely to hold; see `students.climb`.

        None are where n-grams leave them nothing to gain.
        """
        behind = behind_ngrams(self.contest, whole_teacher(self.contest.entries))
        if (left := speed_up_left(self.contest, behind)) < _WORTH:
            gain = f"{100 * (left - 1):.0f} % faster at most" if left > 1 else "no faster"
            could = (
                f"could make the result {gain}" if left else "would cost the proof that is there"
            )
            self._say(
                "no student is trained: behind or in place of the n-grams, whose doubt it would "
                f"share, it {could}"
            )
            return
        request, times = self.request, layer_times(self.contest)
        other = request.student is not None
        rungs = ladder(self.layers, whole=other, portable=request.portable, times=times)
        if not rungs:
            raise ValueError("the model has one layer; there is no smaller student to search for")
        names = " > ".join(rung.name for rung in rungs)
        self.trainer.find_room()
        self._say(f"ladder: {names}; keep {share(self.request.keep)} of the teacher's quality")
        decide = self.decisions = replace(
            self.decisions, layers=self.layers, times=times, teacher_behind=behind
        )
        climb(
            rungs,
            self._attempt,
            decide.affordable,
            decide.skip,
            first=decide.first(rungs),
            worthwhile=decide.worthwhile,
        )

    def _attempt(self, rung: Rung, start: Rung | None) -> Trial | None:
        origin = start.name if start else self.request.student or "the teacher"
        self._say(f"student {rung.name}, begun from {origin}")
        began = time.perf_counter()
        try:
            done = self.trainer.distill(rung, start)
        except TooLong:
            self.decisions.skip(rung)
            return None
        except NoEffect as error:
            self.decisions.fail(rung, str(error))
            seconds = time.perf_counter() - began
            return Trial(rung=rung, quality=0.0, kept=False, seconds=seconds, usable=False)
        quality = self.contest.enter_student(rung.name, done).dev
        if fails_by_rounding(self.contest, rung, done, self.decisions.keeps):
            self._say(f"student {rung.name}: it fails by rounding, and is trained on with it")
            quality = self.contest.enter_student(rung.name, self.trainer.round(rung)).dev
        # by the record, where the rung was trained before an interruption
        seconds = max(time.perf_counter() - began, self.decisions.trained(rung.name))
        behind = behind_ngrams(self.contest, self.contest.entries[rung.name])
        kept = self.decisions.keep(rung, self.contest.promise(rung.name), behind)
        return Trial(rung=rung, quality=quality, kept=kept, seconds=seconds)

    def _say(self, text: str) -> None:
        self.contest.say(text)
