"""From a trained model to a small, fast, measured one.

    teacher      fine-tuned where the model has no head for the task
    baselines    what the user has today: PyTorch, ONNX Runtime, OpenVINO int8 of the whole teacher
    students     rungs of the ladder, each distilled, quantized and judged as it will be served
    contest      all systems timed side by side; the fastest that keeps the quality is chosen
    finish       backends race, the test split is touched once, the report is written

Every part leaves its result on disk, so that a search that was stopped goes on where it was.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from leanformer.core.machine.device import find_device
from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, encode_examples
from leanformer.measure.promise import Promise
from leanformer.models.anatomy import anatomy_of
from leanformer.models.embedding import embedding_of
from leanformer.models.io.load import has_head
from leanformer.recipe import Recipe, align_labels, open_model, run
from leanformer.report import write_report
from leanformer.report.units import at_least, percent, share
from leanformer.search.climb import Trial, climb
from leanformer.search.contest import Contest
from leanformer.search.describe import describe
from leanformer.search.entry import INT8_TEACHER, TEACHER
from leanformer.search.finish import finish, finished
from leanformer.search.judged import check_gold
from leanformer.search.ladder import Rung, ladder
from leanformer.search.outcome import beside_majority
from leanformer.search.request import Request, claim
from leanformer.search.student import steps_of
from leanformer.search.teacher_cache import have_room
from leanformer.tasks import served_kind
from leanformer.train.steps.finetune import Finetune

Watch = Callable[[str, Any], None]

_OUTPUTS = "teacher-outputs"


def compress(request: Request, out: Path, *, command: str = "", watch: Watch | None = None) -> Path:
    """Search, and write everything to `out`: the model, the record, the report.

    Args:
        request: What is asked.
        out: The folder; one that holds an unfinished search of the same request resumes it.
        command: The command line that was given, for the report.
        watch: Called with a name and a progress (of a training) or a text (of anything else).

    Returns:
        The path of the HTML report; the model lies beside it in `model/`.

    Raises:
        OSError: A file is missing, the folder is taken, or the disk is full.
        ValueError: Data or model are not as they must be.
    """
    find_device(request.device)
    out = out.resolve()  # the recipes of the students name paths in it
    dataset = request.data.read()
    if not request.fresh_head:
        dataset = align_labels(dataset, request.model)
    served_kind(dataset.task.kind)
    check_gold(dataset)
    opened, cut = open_checked(request, dataset)
    claim(out, request)
    if request.threads:
        torch.set_num_threads(request.threads)
    contest = Contest(dataset, Record(out / "record.jsonl"), request, watch)
    if cut:
        contest.say(
            f"{cut} of {len(dataset.train)} training texts are longer than the "
            f"{request.max_length} tokens that are read; --max-length reads more",
        )
    describe(contest.record, dataset, request, command)
    if not finished(contest.record):
        search = _Search(contest, out)
        search.teach(opened)
        search.climb()
        finish(contest, out)
        shutil.rmtree(out / "work" / _OUTPUTS, ignore_errors=True)
    return write_report(out / "record.jsonl", out / "report.html")


def open_checked(request: Request, dataset: Dataset) -> tuple[tuple[Any, Any], int]:
    """Open the model, so that what is wrong with it is said before any work.

    Returns:
        Model and tokenizer; and how many training texts are longer than what is read of them.

    Raises:
        OSError: There is no such model.
        ValueError: It cannot be loaded, or its architecture is not known.
    """
    model, tokenizer = open_model(
        request.model, dataset, request.seed, fresh_head=request.fresh_head
    )
    anatomy_of(model)
    kind = dataset.task.kind
    encoded = encode_examples(dataset.train, tokenizer, kind, request.max_length)
    return (model, tokenizer), encoded.truncated


class _Search:
    """The steps of one search; what it knows is in its contest.

    Attributes:
        contest: All that the search knows.
        out: Its folder.
        teacher_cache: Where the teacher's outputs are kept for all students; None = nowhere.
        provable: Whether dev can prove that the whole teacher in int8 keeps enough.
    """

    def __init__(self, contest: Contest, out: Path) -> None:
        self.contest, self.out = contest, out
        self.request, self.dataset = contest.request, contest.dataset
        self.teacher_cache: Path | None = None
        self.provable = False

    def teach(self, opened: tuple[Any, Any]) -> None:
        """Have a teacher: fine-tune the model unless it knows the task.

        Args:
            opened: The model and its tokenizer.
        """
        request = self.request
        if not request.fresh_head and has_head(request.model, self.dataset.task.about.head):
            self.contest.enter_teacher(request.model, opened)
        else:
            setup = request.teacher_setup(len(self.dataset.train))
            step = Finetune(train=setup, max_length=request.max_length)
            done = self._run("teacher", request.model, None, (step,), request.fresh_head)
            self.contest.enter_teacher(str(done.saved), (done.model, done.tokenizer))
        self.contest.enter_baselines(self.out / "baselines")
        self._check_teacher()
        self.contest.enter_simplest(self.out / "simplest")
        # Where dev cannot even prove that the whole teacher in int8 keeps enough, it can prove
        # nothing: then students are judged by their estimates, and the verdict says so.
        known = INT8_TEACHER in self.contest.entries
        self.provable = known and self.contest.promise(INT8_TEACHER).proven

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
        """Train students, from a third down the ladder."""
        layers = len(anatomy_of(self.contest.teacher).layers(self.contest.teacher))
        rungs = ladder(layers)
        if not rungs:
            raise ValueError("the model has one layer; there is no smaller student to search for")
        names = " > ".join(rung.name for rung in rungs)
        self.teacher_cache = self._room_for_outputs()
        self._say(f"ladder: {names}; keep {share(self.request.keep)} of the teacher's quality")
        climb(rungs, self._attempt, self._affordable, self._skip)

    def _attempt(self, rung: Rung, start: Rung | None) -> Trial:
        origin = "the teacher" if start is None else start.name
        self._say(f"student {rung.name}, begun from {origin}")
        began = time.perf_counter()
        source = self.contest.folder_of(start.name if start else None)
        normalized = embedding_of(self.contest.teacher).pooling.normalize
        objectives = self.request.objectives(self.dataset.task.kind, normalized=normalized)
        steps = steps_of(
            rung, start, self.request, self.dataset, objectives, teacher_cache=self.teacher_cache
        )
        try:
            done = self._run(rung.name, source, self.contest.folder_of(None), steps)
        except NoEffect as error:
            return self._fail(rung, str(error), time.perf_counter() - began)
        quality = self.contest.enter_student(rung.name, done).dev
        seconds = self._seconds(rung, time.perf_counter() - began)
        promise = self.contest.promise(rung.name)
        kept = self._decide(rung, promise)
        return Trial(rung=rung, quality=quality, kept=kept, seconds=seconds)

    def _fail(self, rung: Rung, reason: str, seconds: float) -> Trial:
        """A rung of which no model came: one of its steps had no effect."""
        self._say(f"student {rung.name}: {reason}")
        if not self._decided(rung):
            self.contest.record.write("choice", name=rung.name, decision="rejected", reason=reason)
        return Trial(rung=rung, quality=0.0, kept=False, seconds=seconds, usable=False)

    def _room_for_outputs(self) -> Path | None:
        """The folder where the teacher's outputs are kept for all students, if they have room.

        A search that is resumed goes on as it began, whatever room there is now.
        """
        folder = self.out / "work" / _OUTPUTS
        decided = self.contest.known("teacher_outputs")
        kept = decided[0]["kept"] if decided else have_room(self.contest, folder)
        if not decided:
            self.contest.record.write("teacher_outputs", kept=kept)
        if not kept:
            self._say("the teacher's outputs have no room on disk; it is asked in each epoch anew")
        return folder if kept else None

    def _run(
        self,
        name: str,
        model: str,
        teacher: str | None,
        steps: tuple[Any, ...],
        fresh_head: bool = False,
    ) -> Workspace:
        recipe = Recipe(
            name=name,
            model=model,
            teacher=teacher,
            data=self.request.data,
            steps=steps,
            fresh_head=fresh_head,
            seed=self.request.seed,
            device=self.request.device,
        )
        return run(
            recipe,
            self.out / "work" / name,
            dataset=self.dataset,
            record=self.contest.record,
            watch=self.contest.watch,
        )

    def _affordable(self, rung: Rung, trials: Sequence[Trial]) -> bool:
        """Whether the rung would end in time; the first is always tried.

        What was decided before an interruption stays decided.
        """
        if self._decided(rung):
            return not self._decided(rung, "skipped")
        if not trials:
            return True
        used = sum(trial.seconds for trial in trials) + self._trained("teacher")
        last = trials[-1]
        expected = last.seconds * (rung.cost + 1) / (last.rung.cost + 1)
        return used + expected <= 60 * self.request.minutes

    def _skip(self, rung: Rung) -> None:
        reason = f"it would not end within {self.request.minutes:g} minutes"
        if not self._decided(rung):
            self.contest.record.write("choice", name=rung.name, decision="skipped", reason=reason)
        self._say(f"student {rung.name}: skipped, {reason}")

    def _decide(self, rung: Rung, promise: Promise) -> bool:
        """Whether the rung is kept; what was decided before an interruption stays decided."""
        kept = promise.proven if self.provable else promise.holds
        bound = f"at least {at_least(promise.lower)}" if promise.lower > 0 else "nothing for sure"
        reason = (
            f"keeps {percent(promise.kept, 2)} of the teacher's quality on dev, {bound} with "
            f"{100 * promise.confidence:g}% confidence; {share(promise.keep)} is asked"
        )
        self._say(f"student {rung.name}: {reason}")
        if self._decided(rung):
            return self._decided(rung, "kept")
        decision = "kept" if kept else "rejected"
        self.contest.record.write("choice", name=rung.name, decision=decision, reason=reason)
        return kept

    def _decided(self, rung: Rung, *decisions: str) -> bool:
        """Whether the record says what became of the rung; one of `decisions`, where named."""
        return self.contest.decided(rung.name, *decisions)

    def _seconds(self, rung: Rung, measured: float) -> float:
        """What the rung's training took, also where it was done before an interruption."""
        return max(measured, self._trained(rung.name))

    def _trained(self, name: str) -> float:
        """Seconds that the steps of a model took, by the record."""
        steps = self.contest.known("step")
        return float(sum(e["seconds"] for e in steps if e["model"] == name))

    def _say(self, text: str) -> None:
        self.contest.say(text)
