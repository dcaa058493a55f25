"""Who takes part: the teacher, what a user has today, and the students, each judged as served."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.quantity import Quantity
from leanformer.core.record import Record
from leanformer.core.workspace import Watch, Workspace
from leanformer.data import Dataset, Encoded, Examples, encode_examples
from leanformer.measure.promise import Promise, judge_promise
from leanformer.models.digest import model_identity
from leanformer.recipe import open_model
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, read_manifest
from leanformer.runtime.serving.opening import open_system
from leanformer.runtime.session import Precision
from leanformer.runtime.system import System
from leanformer.search.clock import Clock
from leanformer.search.description import Descriptions
from leanformer.search.entry import TEACHER, Entry
from leanformer.search.judged import Judged, judge_outputs, judge_system, thresholds_of
from leanformer.search.request import Request
from leanformer.tasks import served_kind
from leanformer.train.evaluate import outputs

_DECISIONS = ("kept", "rejected", "skipped")


class Contest:
    """All that a search knows: data, request, record, and what has entered.

    Attributes:
        dataset: The splits, labels in the order of the teacher's head.
        record: Where events go.
        request: What is asked.
        watch: Called with a name and a text or a progress; None = nobody watches.
        entries: What has entered, by name.
        teacher: The teacher's PyTorch model.
        tokenizer: Its tokenizer.
        place: Where the teacher lies: a folder or a hub name.
        teacher_identity: What tells the teacher from others (`model_identity`).
        descriptions: Writes how folders describe themselves.
        graphs: Whether its task has graphs to export; if not, all run in PyTorch.
        clock: What the search has used of its time; None = it has all the time there is.
        seconds: What a system takes per text of dev, by name; noisy, since nothing takes turns.
    """

    def __init__(
        self,
        dataset: Dataset,
        record: Record,
        request: Request,
        watch: Watch | None = None,
    ) -> None:
        self.dataset, self.record, self.request, self.watch = dataset, record, request, watch
        self.graphs = dataset.task.about.exported
        self.kind = served_kind(dataset.task.kind) if self.graphs else dataset.task.kind
        self.descriptions = Descriptions(dataset, self.kind)
        self.entries: dict[str, Entry] = {}
        self.teacher: Any = None
        self.tokenizer: Any = None
        self.place = ""
        self.teacher_identity: dict[str, str] = {}
        self.clock: Clock | None = None
        self.seconds: dict[str, float] = {}
        self._targets: dict[str, NDArray[np.float32]] = {}

    def say(self, text: str) -> None:
        """Tell whoever watches, with the time that is used."""
        if self.watch is not None:
            self.watch("search", text if self.clock is None else f"{text}  [{self.clock}]")

    def tell(self, text: str) -> None:
        """Tell whoever watches what is being done, in between."""
        if self.watch is not None:
            self.watch("  " if self.clock is None else f"  {self.clock}", text)

    @property
    def free(self) -> float:
        """Seconds that may be trained."""
        return math.inf if self.clock is None else self.clock.free

    def known(self, event: str) -> list[dict[str, Any]]:
        """The events of a type that the record has, those of an interrupted run too."""
        return [one for one in self.record.events() if one["event"] == event]

    def decided(self, name: str, *decisions: str) -> bool:
        """Whether the record says what became of a system; one of `decisions`, where named."""
        asked = decisions or _DECISIONS
        return any(
            one.get("name") == name and one["decision"] in asked for one in self.known("choice")
        )

    @property
    def quality_of_teacher(self) -> float:
        """Of the teacher in fp32, on the development split."""
        return self.entries[TEACHER].dev

    def check_teacher(self) -> None:
        """Refuse a teacher that has nothing to keep.

        Raises:
            ValueError: Its quality on dev is not above 0.
        """
        quality, metric = self.quality_of_teacher, self.dataset.task.metric
        if not quality > 0:  # NaN too
            raise ValueError(
                f"the teacher's {metric} on dev is {quality:.3g}, there is nothing to keep; "
                "train it longer (--teacher-epochs), or look at the labels"
            )

    def promise(self, name: str) -> Promise:
        """What dev says of a system beside the teacher in fp32."""
        return self.promise_of(self.entries[name].judged)

    def promise_of(self, judged: Judged, confidence: float | None = None) -> Promise:
        """What answers to dev say beside those of the teacher in fp32.

        Args:
            judged: The answers.
            confidence: How sure it has to be; None = as was asked.
        """
        return judge_promise(
            self.dataset.task.scorer(),
            self.entries[TEACHER].judged.statistics,
            judged.statistics,
            keep=self.request.keep,
            confidence=confidence or self.request.confidence,
        )

    @property
    def max_length(self) -> int:
        """Tokens that the teacher reads of a text."""
        return self.read_by(self.tokenizer)

    def read_by(self, tokenizer: Any) -> int:
        """Tokens that a model with this tokenizer reads of a text: what was asked, or less where
        the model reads less."""
        return int(min(self.request.max_length, tokenizer.model_max_length))

    def folder_of(self, student: str | None) -> str:
        """Where a student's model lies; None = the teacher's."""
        return self.place if student is None else str(self.entries[student].folder)

    def enter_teacher(self, place: str, opened: tuple[Any, Any] | None = None) -> None:
        """Take over the teacher, which all others are compared with.

        Args:
            place: Its folder or hub name.
            opened: Its model and tokenizer, where they are open already.
        """
        self.place = place
        opened = opened or open_model(place, self.dataset, self.request.seed)
        self.teacher, self.tokenizer = opened
        self.teacher.eval()
        self.teacher_identity = model_identity(*opened)

    def enter_student(self, name: str, done: Workspace) -> Entry:
        """Judge a finished student in int8; in PyTorch where its task has no graph."""
        assert done.saved is not None
        runs = ("openvino", "int8") if self.graphs else ("pytorch", "fp32")
        return self.enter(name, "candidate", done.saved, *runs, done.model, done.tokenizer)

    def calibration(self, tokenizer: Any) -> Calibration:
        """The training texts that ranges are found on, for a model with this tokenizer."""
        sample = self.dataset.train.take(list(range(min(128, len(self.dataset.train)))))
        return Calibration(
            tokenizer=tokenizer,
            texts=sample.texts,
            pairs=sample.pairs,
            max_length=self.read_by(tokenizer),
        )

    def describe(
        self,
        folder: Path,
        backend: str,
        precision: Precision,
        thresholds: tuple[float, ...] = (),
        *,
        tokenizer: Any = None,
        fast: bool = False,
    ) -> Manifest:
        """See `Descriptions.write`; without `tokenizer`, the teacher's says how much is read."""
        reads = self.read_by(tokenizer or self.tokenizer)
        return self.descriptions.write(folder, backend, precision, reads, thresholds, fast=fast)

    def encode(self, examples: Examples, tokenizer: Any) -> Encoded:
        """`examples` as a model with this tokenizer reads them."""
        return encode_examples(examples, tokenizer, self.kind, self.read_by(tokenizer))

    def judge(self, system: System, split: str, thresholds: tuple[float, ...] = ()) -> Judged:
        """What a system answers to a split, and how well.

        Args:
            system: What answers.
            split: "dev" or "test".
            thresholds: The probability from which each label is answered; () = those that suit the
                answers themselves, as on dev.
        """
        task, examples = self.dataset.task, getattr(self.dataset, split)
        targets = self.targets(split) if task.about.output == "vector" else None
        return judge_system(system, examples, replace(task, thresholds=thresholds), targets)

    def judge_dev(self, outputs: list[NDArray[Any]]) -> Judged:
        """What raw outputs for dev are worth, answered by the thresholds that suit them."""
        return judge_outputs(outputs, self.dataset.dev, self.dataset.task)

    def thresholds(self, judged: Judged) -> tuple[float, ...]:
        """The thresholds that suit a system's answers to dev, by which it is tested and served; ()
        where the task has none."""
        return thresholds_of(judged.outputs, self.dataset.dev, self.dataset.task)

    def targets(self, split: str) -> NDArray[np.float32]:
        """The teacher's vectors of a split, for embeddings."""
        if split not in self._targets:
            encoded = self.encode(getattr(self.dataset, split), self.tokenizer)
            found = outputs(self.teacher, encoded, self.kind, precision="fp32")
            self._targets[split] = np.stack(found)
        return self._targets[split]

    def enter(
        self,
        name: str,
        role: str,
        folder: Path,
        backend: str,
        precision: Precision,
        model: Any,
        tokenizer: Any,
    ) -> Entry:
        """Judge a model on dev as it is served, and let it take part."""
        fast = role == "candidate"
        self.describe(folder, backend, precision, tokenizer=tokenizer, fast=fast)
        system, began = open_system(folder, backend, precision), time.perf_counter()
        judged = self.judge(system, "dev")
        self.answered(name, time.perf_counter() - began)
        entry = Entry(
            name=name,
            role=role,
            folder=folder,
            backend=backend,
            precision=precision,
            judged=judged,
            model=model,
            tokenizer=tokenizer,
        )
        if thresholds := self.thresholds(entry.judged):
            self.describe(folder, backend, precision, thresholds, tokenizer=tokenizer, fast=fast)
        self.entries[name] = entry
        self.write(entry, {})
        return entry

    def answered(self, name: str, seconds: float) -> None:
        """Note how long a system took to answer dev."""
        self.seconds[name] = seconds / len(self.dataset.dev)
        if self.clock is not None:
            self.clock.entered(name, seconds, len(self.dataset.dev))

    def describe_entry(self, entry: Entry, fast: bool | None = None) -> Manifest:
        """Have a transformer's folder describe itself as the form that `entry` is.

        Args:
            entry: The form.
            fast: Whether with the fast tokenizer; None = as a candidate is, and no baseline.
        """
        if entry.model is None:
            return read_manifest(entry.folder)
        return self.describe(
            entry.folder,
            entry.backend,
            entry.precision,
            self.thresholds(entry.judged),
            tokenizer=entry.tokenizer,
            fast=entry.role == "candidate" if fast is None else fast,
        )

    def write(
        self, entry: Entry, quantities: dict[str, Quantity], test: float | None = None
    ) -> None:
        """Record what is known of a system."""
        self.record.write(
            "model",
            name=entry.name,
            role=entry.role,
            system=entry.system,
            backend=entry.backend,
            precision=entry.precision,
            shape=entry.shape,
            metric=self.dataset.task.metric,
            quality={"dev": entry.dev, "test": test},
            quantities=quantities,
        )
