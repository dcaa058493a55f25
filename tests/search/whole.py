"""The main job, whole, on a tiny model: finished searches, and what makes them short.

What is timed is made up (less work, faster), so that the choice does not hang on the clock.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data

from leanformer.core.quantity import Quantity
from leanformer.core.record import read
from leanformer.data import Dataset, Source, encode_examples
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.serving.smoke import Smoke
from leanformer.search import Request, compress
from leanformer.search.clock import Effort
from leanformer.search.contest import Contest
from leanformer.search.students.ladder import ladder
from leanformer.train import Supervised, TrainSetup, fit

KINDS = (
    "classification", "pairs", "regression", "tokens", "embedding", "multi-label", "ranking",
)  # fmt: skip
BARE = ("multi-label", "ranking")  # the teacher is trained from a bare encoder
ALONE = (
    "pairs",
    "regression",
    "tokens",
    *BARE,
)  # without the int8 teacher, whose export takes seconds
SETUP = TrainSetup(epochs=12, learning_rate=3e-3, batch_size=16, precision="fp32")


@dataclass
class Search:
    """A finished search and what was seen of it."""

    request: Request
    out: Path
    judged: list[tuple[str, bool]] = field(default_factory=list)  # split, already chosen?

    @property
    def dataset(self) -> Dataset:
        return self.request.data.read()

    def events(self, event: str) -> list[dict[str, Any]]:
        return [one for one in read(self.out / "record.jsonl") if one["event"] == event]

    @property
    def decisions(self) -> list[tuple[str, str, str]]:
        return [(e["name"], e["decision"], e["reason"]) for e in self.events("choice")]

    @property
    def devs(self) -> dict[str, float]:
        """Quality of each student on the development split, in int8."""
        return {
            e["name"]: e["quality"]["dev"]
            for e in self.events("model")
            if e["role"] == "candidate" and " · " not in e["name"]  # not in the form of an export
        }


def write_data(folder: Path, kind: str) -> Source:
    """The data of a kind of task; of a pair, only the second text tells the class."""
    if kind in BARE:
        return Source(path=str(tiny_data.write_data(folder, kind)), kind=kind)
    if kind != "pairs":
        return Source(path=str(tiny_data.write_data(folder, kind)))
    folder.mkdir(parents=True)
    for split, count in tiny_data.SIZES.items():
        rows = [
            f"the light was quiet\t{text}\t{label}" for text, label in tiny_data.texts(split, count)
        ]
        (folder / f"{split}.tsv").write_text("\n".join(["text\tpair\tlabel", *rows]) + "\n")
    return Source(path=str(folder))


def write_teacher(folder: Path, source: Source) -> Path:
    """A BERT of two layers that knows the task."""
    dataset = source.read()
    kind, labels = dataset.task.kind, dataset.task.labels
    head = {"tokens": "tokens", "embedding": "embedding"}.get(kind, "classification")
    shape = {"num_hidden_layers": 2, "max_position_embeddings": 160}
    model, tokenizer = tiny_model("bert", head=head, num_labels=len(labels) or 1, **shape)
    if labels:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: index for index, label in enumerate(labels)}
    if kind != "embedding":
        encoded = encode_examples(dataset.train, tokenizer, kind, 64)
        fit(model, encoded, Supervised(kind), SETUP)
    save_model(model.eval(), tokenizer, folder)
    return folder


def reuse(done: Search, out: Path) -> None:
    """Begin `out` as the same search, with the baselines of `done`, which take seconds to make."""
    out.mkdir()
    for name in ("request.json", "baselines.json"):
        shutil.copy(done.out / name, out)
    shutil.copytree(done.out / "baselines", out / "baselines")


def measured(served: Any, *_: Any, **__: Any) -> Any:
    """Made-up timings: the later one entered, the faster; students are tried from large to small."""
    rates = {name: Quantity(float(place), "texts/s") for place, name in enumerate(served, 1)}
    return {name: {"throughput": rate} for name, rate in rates.items()}, None


def measure_briefly(patch: pytest.MonkeyPatch) -> None:
    """Time and memory are measured really, in few rounds, texts and requests."""
    for module in ("leanformer.search.clock", "leanformer.search.finish"):
        patch.setattr(f"{module}.WHOLE", Effort(rounds=1, texts=32, requests=8))


def absent(*_: Any, **__: Any) -> None:
    raise ImportError("not installed here")


@contextmanager
def quick(*, mixed: bool = False) -> Iterator[None]:
    """No clock, no subprocess, no ONNX; n-grams and cascades only where they are asked for, since
    they leave students nothing to gain on data as simple as these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leanformer.search.finish.measure_folders", measured)
        patch.setattr("leanformer.runtime.race.smoke_test", lambda *_: Smoke("", 0.0))
        module = sys.modules["leanformer.search.compress"]
        patch.setattr(module, "layer_times", lambda contest: None)  # matrix products decide
        if not mixed:
            patch.setattr(module, "enter_ngrams", lambda *_: None)
            patch.setattr(module, "enter_cascades", lambda *_: [])
        patch.setattr("leanformer.runtime.onnx.export.export_onnx", absent)
        setup = Request.student_setup
        patch.setattr(  # a checkpoint at every step, so that an interruption finds one
            Request,
            "student_setup",
            lambda self, examples: replace(setup(self, examples), checkpoint_seconds=0.0),
        )
        patch.setattr(Request, "teacher_setup", lambda self, examples: SETUP)
        yield


def one_student(patch: pytest.MonkeyPatch) -> None:
    """Let the ladder have the one rung that is tried first."""

    def first(*args: Any, **settings: Any) -> Any:
        rungs = ladder(*args, **settings)
        return [rungs[(len(rungs) + 1) // 3]]

    patch.setattr(sys.modules["leanformer.search.compress"], "ladder", first)


def searched(place: Path, kind: str) -> Search:
    """The finished search of a kind of task."""
    source = write_data(place / "data", kind)
    whole = kind == "classification"  # of other kinds one student is enough
    request = Request(
        model=str(
            tiny_data.write_encoder(place / "encoder")
            if kind in BARE
            else write_teacher(place / "teacher", source)
        ),
        data=source,
        keep=0.5,
        minutes=1000.0,
        augment=0,
        student_epochs=6.0 if whole or kind in BARE else 2.0,
        threads=1,
    )
    done = Search(request, place / "lean")
    judge = Contest.judge

    def seen(self: Contest, system: Any, split: str, *thresholds: Any) -> Any:
        chosen = any(decision == "chosen" for _, decision, _ in done.decisions)
        done.judged.append((split, chosen))
        return judge(self, system, split, *thresholds)

    served = (("openvino", "int8"),) if whole else ()  # an export takes seconds
    with quick(), pytest.MonkeyPatch.context() as patch:
        if not whole:
            one_student(patch)
        patch.setattr(Contest, "judge", seen)
        patch.setattr("leanformer.search.finish.DEFAULT", served)
        if kind in ALONE:
            patch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
        report = compress(request, done.out, command="leanformer compress …")
    assert report == done.out / "report.html"
    return done
