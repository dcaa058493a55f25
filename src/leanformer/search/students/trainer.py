"""Trains what a search asks for: the teacher, where it does not know the task, and each student.

Every training is a recipe in a folder of its own (`work/NAME`), so that what is finished is not
done again; its first steps tell whether it ends in time (`search.students.pace`).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from leanformer.core.identity.digest import digest, short
from leanformer.core.workspace import Workspace
from leanformer.distill.objective import Objective
from leanformer.models.embedding import embedding_of
from leanformer.recipe import Recipe, run
from leanformer.search.contest import Contest
from leanformer.search.opening import new_head
from leanformer.search.request import examples_of
from leanformer.search.students.ladder import Rung, epochs_share
from leanformer.search.students.pace import LEAST, Pace, TooLong, decided, later_share
from leanformer.search.students.steps import rounding_steps, steps_of
from leanformer.search.students.teacher_cache import have_room
from leanformer.train.steps.finetune import Finetune

OUTPUTS = "teacher-outputs"
"""The folder, in `work`, of what the teacher says of each text."""
_TEACHER = "teacher"
_TEACHER_SHARE, _TEACHER_MOST, _TEACHER_EPOCHS = 1 / 3, 1 / 2, 2.0
_TEACHER_LEAST = 2000  # texts that are a training too, where half an epoch is out of reach
_STUDENT_SHARE, _STUDENT_ENOUGH = 1 / 2, 1 / 2  # of the free time, and of the epochs asked


class Trainer:
    """The trainings of one search.

    Attributes:
        contest: All that the search knows.
        out: Its folder.
        layers: Layers of the encoder that students are cut from.
        teacher_cache: Where the teacher's outputs are kept for all students; None = nowhere.
    """

    def __init__(self, contest: Contest, out: Path, layers: int) -> None:
        self.contest, self.out, self.layers = contest, out, layers
        self.request, self.dataset = contest.request, contest.dataset
        self.teacher_cache: Path | None = None
        self._trained: dict[str, str] = {}

    def finetune(self) -> Workspace:
        """Train the teacher, for a third of the time; for half, where that is not two epochs.

        Raises:
            ValueError: Neither half of an epoch nor 2,000 texts would end in time.
        """
        request, examples = self.request, len(self.dataset.train)
        asked = request.teacher_setup(examples)
        epochs = decided(self.contest, _TEACHER) or asked.epochs
        pace = Pace(
            self.contest,
            _TEACHER,
            epochs,
            share=_TEACHER_SHARE,
            most=_TEACHER_MOST,
            enough=_TEACHER_EPOCHS,
            least=min(LEAST, _TEACHER_LEAST / examples),
        )
        step = Finetune(train=replace(asked, epochs=epochs), max_length=request.max_length)
        try:
            return self._run(_TEACHER, request.model, None, (step,), pace, request.fresh_head)
        except TooLong as error:
            if error.epochs:
                return self.finetune()
            raise ValueError(
                f"minutes: {request.minutes:g} are too few to fine-tune the teacher; give more, or "
                "a model that knows the task"
            ) from error

    def distill(self, rung: Rung, start: Rung | None) -> Workspace:
        """Train a student; for fewer epochs where it would take more than half of the free time.

        Raises:
            TooLong: There is no time for any number of them.
        """
        teacher, student = self.contest.folder_of(None), self.request.student
        source = self._trained[start.name] if start else student or teacher
        epochs = self._epochs(rung, start)
        steps = steps_of(
            rung,
            start,
            replace(self.request, student_epochs=epochs),
            self.dataset,
            self._objectives(),
            teacher_cache=self.teacher_cache,
        )
        fresh_head = start is None and new_head(self.request, self.dataset)
        later = 1.0 if self.teacher_cache is None else later_share(rung.cost, self.layers)
        pace = Pace(
            self.contest,
            rung.name,
            epochs,
            share=_STUDENT_SHARE,
            enough=_STUDENT_ENOUGH * epochs,
            later=later,
            least=LEAST * self._labelled(),
        )
        try:
            done = self._run(rung.name, source, teacher, steps, pace, fresh_head)
        except TooLong as error:
            if not error.epochs:
                raise
            return self.distill(rung, start)
        self._trained[rung.name] = str(done.saved)
        return done

    def round(self, rung: Rung) -> Workspace:
        """Train a finished student on while its weights and activations are rounded.

        Smaller students still begin from the one that does not round, which can be cut.
        """
        steps = rounding_steps(
            self.request, self.dataset, self._objectives(), teacher_cache=self.teacher_cache
        )
        source, teacher = self._trained[rung.name], self.contest.folder_of(None)
        pace = Pace(self.contest, rung.name, 1.0)
        return self._run(rung.name, source, teacher, steps, pace, folder=f"{rung.name}-rounded")

    def _labelled(self) -> float:
        """The share of labelled texts among those of an epoch: where there are many others, a part
        of an epoch is a training.
        """
        return len(self.dataset.train) / examples_of(self.request, self.dataset)

    def _epochs(self, rung: Rung, start: Rung | None) -> float:
        """Of a student: as asked, or fewer the less of it is cut.

        Raises:
            TooLong: It was decided that there is no time for it.
        """
        epochs = decided(self.contest, rung.name)
        if epochs is None:
            if self.request.student_epochs is not None:
                return self.request.student_epochs
            whole = self.request.student_setup(examples_of(self.request, self.dataset)).epochs
            return round(epochs_share(rung, start, self.layers) * whole, 1)
        if not epochs:
            raise TooLong(0.0)
        return epochs

    def find_room(self) -> None:
        """Keep the teacher's outputs on disk for all students, if they have room.

        A search that is resumed goes on as it began, whatever room there is now.
        """
        folder = self._outputs_folder()
        decided = self.contest.known("teacher_outputs")
        kept = (
            decided[0]["kept"] if decided else have_room(self.contest, folder, self._objectives())
        )
        if not decided:
            self.contest.record.write("teacher_outputs", kept=kept)
        if not kept:
            self.contest.say(
                "the teacher's outputs have no room on disk; it is asked in each epoch anew"
            )
        self.teacher_cache = folder if kept else None

    def _objectives(self) -> tuple[Objective, ...]:
        normalized = embedding_of(self.contest.teacher).pooling.normalize
        return self.request.objectives(self.dataset.task.kind, normalized=normalized)

    def _outputs_folder(self) -> Path:
        """Where the outputs of this teacher, for texts that are read like this, are kept."""
        asked = self.request
        key = digest(
            *self.contest.teacher_identity.values(),
            [asked.max_length, asked.min_count, asked.first_pieces, asked.student],
        )
        return self.out / "work" / OUTPUTS / short(key)

    def _run(
        self,
        name: str,
        model: str,
        teacher: str | None,
        steps: tuple[Any, ...],
        watch: Pace,
        fresh_head: bool = False,
        *,
        folder: str | None = None,
    ) -> Workspace:
        """Run the steps in a folder of `work`, which is called like the model unless given."""
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
            self.out / "work" / (folder or name),
            dataset=self.dataset,
            record=self.contest.record,
            watch=watch,
        )
