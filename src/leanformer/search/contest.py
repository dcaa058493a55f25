"""Who takes part: the teacher, what a user has today, and the students, each judged as served."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.proof import NoEffect
from leanformer.core.quantity import Quantity
from leanformer.core.record import Record
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Encoded, Examples, encode_examples
from leanformer.measure.promise import Promise, judge_promise
from leanformer.measure.quality import session_outputs
from leanformer.measure.tfidf import Tfidf
from leanformer.models.save import save_model
from leanformer.models.shape import Shape, shape_of
from leanformer.recipe import open_model
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.onnx_backend import export_onnx
from leanformer.runtime.opening import open_session
from leanformer.runtime.openvino_backend import export_openvino
from leanformer.runtime.session import Backend, Precision, Session, graph_file
from leanformer.search.judged import Judged, judge_outputs, thresholds_of
from leanformer.search.request import Request
from leanformer.search.simplest import SIMPLEST, judge_simplest
from leanformer.tasks import served_kind
from leanformer.train.evaluate import outputs

TEACHER = "teacher · PyTorch fp32"
INT8_TEACHER = "teacher · OpenVINO int8"
FUSED_TEACHER = "teacher · ONNX Runtime fp32"


@dataclass(frozen=True, kw_only=True)
class System:
    """One runnable model.

    Attributes:
        name: How the record calls it.
        role: "teacher", "baseline" or "candidate".
        folder: Where it lies, with its manifest.
        backend: What runs it.
        precision: What its products run in.
        shape: Its widths.
        dev: Quality on the development split.
    """

    name: str
    role: str
    folder: Path
    backend: Backend
    precision: Precision
    shape: Shape
    dev: float

    def open(self, threads: int | None = None) -> Session:
        """The session that serves it."""
        return open_session(self.folder, self.backend, self.precision, threads)


class Contest:
    """The systems of one search, and how they are judged."""

    def __init__(self, dataset: Dataset, record: Record, request: Request) -> None:
        self.dataset, self.record, self.request = dataset, record, request
        self.kind = served_kind(dataset.task.kind)
        self.pairs = dataset.train.pairs is not None
        self.systems: dict[str, System] = {}
        self.dev: dict[str, Judged] = {}
        self.simplest: Tfidf | None = None
        self.teacher: Any = None
        self.tokenizer: Any = None
        self._place = ""
        self._targets: dict[str, NDArray[np.float32]] = {}

    @property
    def quality_of_teacher(self) -> float:
        """Of the teacher in fp32, on the development split."""
        return self.systems[TEACHER].dev

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
        return self.promise_of(self.dev[name])

    def promise_of(self, judged: Judged) -> Promise:
        """What answers to dev say beside those of the teacher in fp32."""
        return judge_promise(
            self.dataset.task.scorer(),
            self.dev[TEACHER].statistics,
            judged.statistics,
            keep=self.request.keep,
            confidence=self.request.confidence,
        )

    @property
    def max_length(self) -> int:
        """Tokens that are read of a text: what was asked, or less where the model reads less."""
        return int(min(self.request.max_length, self.tokenizer.model_max_length))

    def folder_of(self, student: str | None) -> str:
        """Where a student's model lies; None = the teacher's."""
        return self._place if student is None else str(self.systems[student].folder)

    def enter_teacher(self, place: str) -> None:
        """Load the teacher; it is what all others are compared with."""
        self._place = place
        self.teacher, self.tokenizer = open_model(place, self.dataset, self.request.seed)

    def enter_baselines(self, folder: Path, watch: Callable[[str, Any], None] | None) -> None:
        """Export the whole teacher as its user would run it without us.

        A baseline that cannot be had is recorded with the reason.
        """
        if not (folder / "config.json").is_file():
            save_model(self.teacher, self.tokenizer, folder, overwrite=True)
        if watch is not None:
            watch(
                "search", "baselines: PyTorch fp32, ONNX Runtime fp32, OpenVINO int8 of the teacher"
            )
        self._enter(TEACHER, "teacher", folder, "pytorch", "fp32")
        for name, backend, precision in (
            (INT8_TEACHER, "openvino", "int8"),
            (FUSED_TEACHER, "onnxruntime", "fp32"),
        ):
            try:
                if not graph_file(folder, backend, precision).is_file():
                    self._export(folder, backend, precision)
                self._enter(name, "baseline", folder, backend, precision)  # type: ignore[arg-type]
            except (NoEffect, ImportError, RuntimeError) as error:
                self.record.write("choice", name=name, decision="skipped", reason=str(error))

    def enter_simplest(self, watch: Callable[[str, Any], None] | None) -> None:
        """Fit the simplest rival; one that cannot be had is recorded with the reason."""
        train = self.dataset.train
        targets = self.targets("train") if self.dataset.task.about.output == "vector" else None
        try:
            self.simplest = Tfidf(train, self.dataset.task, targets)
        except ValueError as error:  # scikit-learn's: one class, no words
            self.record.write("choice", name=SIMPLEST, decision="skipped", reason=str(error))
            return
        self.dev[SIMPLEST] = self.judge_simplest("dev")
        self.write_simplest({})
        if watch is not None:
            own, teachers = self.dev[SIMPLEST].quality, self.quality_of_teacher
            watch(
                "search",
                f"simplest rival, fitted in {self.simplest.seconds:.1f} s: {own:.4f} "
                f"{self.dataset.task.metric} on dev, the teacher {teachers:.4f}",
            )

    def enter_student(self, name: str, done: Workspace) -> float:
        """Judge a finished student in int8; its quality on the development split."""
        assert done.saved is not None
        system = self._enter(
            name, "candidate", done.saved, "openvino", "int8", done.model, done.tokenizer
        )
        return system.dev

    def calibration(self) -> Calibration:
        """The training texts that ranges are found on."""
        sample = self.dataset.train.take(list(range(min(128, len(self.dataset.train)))))
        return Calibration(
            tokenizer=self.tokenizer,
            texts=sample.texts,
            pairs=sample.pairs,
            max_length=self.max_length,
        )

    def manifest(
        self, backend: Backend, precision: Precision, thresholds: tuple[float, ...] = ()
    ) -> Manifest:
        """How a folder of this task describes itself."""
        return Manifest(
            kind=self.kind,
            labels=self.dataset.task.labels,
            thresholds=thresholds,
            max_length=self.max_length,
            pairs=self.pairs,
            backend=backend,
            precision=precision,
        )

    def encode(self, examples: Examples, tokenizer: Any) -> Encoded:
        """`examples` as a system with this tokenizer reads them."""
        return encode_examples(examples, tokenizer, self.kind, self.max_length)

    def judge(self, session: Session, tokenizer: Any, split: str) -> Judged:
        """What a session says about a split, and how well."""
        encoded = self.encode(getattr(self.dataset, split), tokenizer)
        found = session_outputs(session, encoded)
        task = self.dataset.task
        targets = self.targets(split) if task.about.output == "vector" else None
        if split != "dev" and task.about.tunes_thresholds:  # test is answered with those of dev
            said = session_outputs(session, self.encode(self.dataset.dev, tokenizer))
            task = replace(task, thresholds=thresholds_of(said, self.dataset.dev, task))
        return judge_outputs(found, encoded, task, targets)

    def judge_simplest(self, split: str) -> Judged:
        """What the simplest rival says about a split, and how well."""
        assert self.simplest is not None
        targets = self.targets(split) if self.dataset.task.about.output == "vector" else None
        return judge_simplest(self.simplest, self.dataset, split, targets)

    def targets(self, split: str) -> NDArray[np.float32]:
        """The teacher's vectors of a split, for embeddings."""
        if split not in self._targets:
            encoded = self.encode(getattr(self.dataset, split), self.tokenizer)
            found = outputs(self.teacher, encoded, self.kind, precision="fp32")
            self._targets[split] = np.stack(found)
        return self._targets[split]

    def _export(self, folder: Path, backend: str, precision: str) -> None:
        place = graph_file(folder, backend, precision).parent
        if backend == "openvino":
            export_openvino(
                self.teacher,
                self.kind,
                place,
                precision="int8",
                pairs=self.pairs,
                calibration=self.calibration(),
            )
        else:
            export_onnx(self.teacher, self.kind, place, precision="fp32", pairs=self.pairs)

    def _enter(
        self,
        name: str,
        role: str,
        folder: Path,
        backend: Backend,
        precision: Precision,
        model: Any = None,
        tokenizer: Any = None,
    ) -> System:
        write_manifest(folder, self.manifest(backend, precision))
        shape = shape_of(self.teacher if model is None else model)
        draft = System(
            name=name,
            role=role,
            folder=folder,
            backend=backend,
            precision=precision,
            shape=shape,
            dev=0.0,
        )
        judged = self.judge(draft.open(), tokenizer or self.tokenizer, "dev")
        system = replace(draft, dev=judged.quality)
        if bars := thresholds_of(judged.outputs, self.dataset.dev, self.dataset.task):
            write_manifest(folder, self.manifest(backend, precision, bars))
        self.systems[name], self.dev[name] = system, judged
        self.write(system, {})
        return system

    def write(self, system: System, quantities: dict[str, Any], test: float | None = None) -> None:
        """Record what is known of a system."""
        self.record.write(
            "model",
            name=system.name,
            role=system.role,
            backend=system.backend,
            precision=system.precision,
            shape=system.shape.json(),
            metric=self.dataset.task.metric,
            quality={"dev": system.dev, "test": test},
            quantities=quantities,
        )

    def write_simplest(self, quantities: dict[str, Any], test: float | None = None) -> None:
        """Record what is known of the simplest rival."""
        assert self.simplest is not None
        fitted = Quantity(self.simplest.seconds, "s")
        self.record.write(
            "model",
            name=SIMPLEST,
            role="baseline",
            backend="scikit-learn",
            precision="fp64",
            shape={},
            metric=self.dataset.task.metric,
            quality={"dev": self.dev[SIMPLEST].quality, "test": test},
            quantities=quantities | {"fit": fitted},
        )
