"""The main job, whole, on a tiny model of every kind of task.

What is timed is made up (less work, faster), so that the choice does not hang on the clock; the
timing itself has its own tests, and so has the command line.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data

import leanformer
from leanformer.core.quantity import Quantity
from leanformer.core.record import read
from leanformer.core.step import NoEffect
from leanformer.data import Dataset, Source, encode_examples
from leanformer.models.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.export import export_folder
from leanformer.runtime.session import graph_file
from leanformer.search import Request, compress
from leanformer.search.contest import FUSED_TEACHER, INT8_TEACHER, TEACHER, Contest
from leanformer.train import Supervised, TrainSetup, fit
from leanformer.train.loop import Progress

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

pytestmark = pytest.mark.slow
KINDS = ("classification", "pairs", "regression", "tokens", "embedding")
ALONE = ("pairs", "regression", "tokens")  # without the int8 teacher, whose export takes seconds
_SETUP = TrainSetup(epochs=12, learning_rate=3e-3, batch_size=16, precision="fp32")
_MODULE = sys.modules["leanformer.search.compress"]  # the package has a function of this name


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
        """Quality of each student on the development split."""
        return {
            e["name"]: e["quality"]["dev"] for e in self.events("model") if e["role"] == "candidate"
        }


def write_data(folder: Path, kind: str) -> Source:
    """The data of a kind of task; of a pair, only the second text tells the class."""
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
        fit(model, encoded, Supervised(kind), _SETUP)
    save_model(model.eval(), tokenizer, folder)
    return folder


def measured(served: Any, *_: Any, **__: Any) -> Any:
    """Made-up timings: the later one entered, the faster; students are tried from large to small."""
    rates = {name: Quantity(float(place), "texts/s") for place, name in enumerate(served, 1)}
    return {name: {"throughput": rate} for name, rate in rates.items()}, None


def absent(*_: Any, **__: Any) -> None:
    raise ImportError("not installed here")


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """No clock, no subprocess, no ONNX."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leanformer.search.finish.measure_folders", measured)
        patch.setattr("leanformer.runtime.race.smoke_test", lambda *_: "")
        patch.setattr("leanformer.search.contest.export_onnx", absent)
        setup = Request.student_setup
        patch.setattr(  # a checkpoint at every step, so that an interruption finds one
            Request,
            "student_setup",
            lambda self, examples: replace(setup(self, examples), checkpoint_seconds=0.0),
        )
        yield


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Search]:
    """The finished search of a kind of task; made once."""
    made: dict[str, Search] = {}

    def get(kind: str) -> Search:
        if kind not in made:
            made[kind] = _search(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return get


def _search(place: Path, kind: str) -> Search:
    source = write_data(place / "data", kind)
    whole = kind == "classification"  # of other kinds one student is enough: no time for more
    request = Request(
        model=str(write_teacher(place / "teacher", source)),
        data=source,
        keep=0.5,
        minutes=1000.0 if whole else 1e-6,
        student_epochs=6.0 if whole else 2.0,
        threads=1,
    )
    done = Search(request, place / "lean")
    judge = Contest.judge

    def seen(self: Contest, session: Any, tokenizer: Any, split: str) -> Any:
        chosen = any(decision == "chosen" for _, decision, _ in done.decisions)
        done.judged.append((split, chosen))
        return judge(self, session, tokenizer, split)

    served = [("openvino", "int8")] if whole else []  # an export takes seconds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Contest, "judge", seen)
        patch.setattr(
            "leanformer.search.finish.export_folder", partial(export_folder, candidates=served)
        )
        if kind in ALONE:
            patch.setattr("leanformer.search.contest.export_openvino", absent)
        report = compress(request, done.out, command="leanformer compress …")
    assert report == done.out / "report.html"
    return done


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_tells_the_whole_search(search: Callable[[str], Search], kind: str) -> None:
    done = search(kind)
    assert (done.out / "report.html").read_text().rstrip().endswith("</html>")
    (run,) = done.events("run")
    assert run["task"]["kind"] == done.dataset.task.kind
    assert [step["step"] for step in done.events("step")][:4] == [
        "cut-vocabulary", "shrink", "distill", "int8",
    ]  # fmt: skip
    (verdict,) = done.events("verdict")
    students = list(done.devs)
    assert verdict["chosen"] == students[-1]
    assert (students[-1], "chosen") in [choice[:2] for choice in done.decisions]
    assert (FUSED_TEACHER, "skipped", "not installed here") in done.decisions
    (backends,) = done.events("backends")
    assert [row["backend"] for row in backends["rows"] if row["chosen"]]
    slices = done.events("slices")
    by = {"length", "class"} if kind in ("classification", "pairs") else {"length"}
    assert {event["by"] for event in slices} == by
    for event in slices:
        assert sum(row["count"] for row in event["rows"]) == len(done.dataset.test)


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_split_is_opened_at_the_end_for_whom_the_verdict_names(
    search: Callable[[str], Search], kind: str
) -> None:
    done = search(kind)
    splits = [split for split, _ in done.judged]
    assert splits == sorted(splits)  # "dev" before "test"
    assert all(chosen == (split == "test") for split, chosen in done.judged)
    tested = {e["name"] for e in done.events("model") if e["quality"]["test"] is not None}
    rivals = set() if kind in ALONE else {INT8_TEACHER}
    assert tested == {TEACHER, list(done.devs)[-1], *rivals}
    assert splits.count("test") == len(tested)


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_answers(search: Callable[[str], Search], kind: str) -> None:
    done = search(kind)
    task, test = done.dataset.task, done.dataset.test
    model = leanformer.load(done.out / "model")
    assert model.manifest.kind == task.kind
    if kind == "embedding":
        vectors = model.encode(test.texts)
        assert vectors.shape == (len(test), 32)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
        return
    answers = model.predict(test.texts, test.pairs)
    assert len(answers) == len(test)
    if kind == "regression":
        assert all(isinstance(answer, float) for answer in answers)
    elif kind == "tokens":
        assert {span.label for spans in answers for span in spans} <= {"ANIMAL"}
    else:
        labels = [task.labels.index(answer.label) for answer in answers]
        share = np.mean(np.array(labels) == np.array(test.labels))
        (tested,) = {
            e["quality"]["test"] for e in done.events("model")
            if e["name"] == list(done.devs)[-1] and e["quality"]["test"] is not None
        }  # fmt: skip
        assert share == pytest.approx(tested, abs=1 / len(test))  # what was recorded is served


def test_a_finished_search_is_not_done_again(
    search: Callable[[str], Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search("classification")
    before = (done.out / "record.jsonl").read_text()
    monkeypatch.setattr(Contest, "judge", None)
    monkeypatch.setattr(_MODULE, "run", None)
    (done.out / "report.html").unlink()
    assert compress(done.request, done.out).is_file()
    assert (done.out / "record.jsonl").read_text() == before


@pytest.mark.parametrize("kind", ["pairs", "embedding"])
def test_a_search_stopped_before_its_verdict_ends_with_the_same_decisions(
    search: Callable[[str], Search], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search(kind)
    record, decisions, devs = done.out / "record.jsonl", done.decisions, done.devs
    whole = record.read_text()
    lines = whole.splitlines(keepends=True)
    stop = next(i for i, line in enumerate(lines) if '"decision": "chosen"' in line) + 1
    record.write_text("".join(lines[:stop]))

    def otherwise(served: Any, *_: Any, **__: Any) -> Any:
        found, _ = measured(served)
        return dict(zip(found, reversed(found.values()), strict=True)), None

    def trained(*_: Any) -> None:
        raise AssertionError("a step was done again")

    monkeypatch.setattr("leanformer.search.finish.measure_folders", otherwise)
    monkeypatch.setattr("leanformer.recipe._do", trained)
    export = partial(export_folder, candidates=[])
    monkeypatch.setattr("leanformer.search.finish.export_folder", export)
    if kind in ALONE:
        monkeypatch.setattr("leanformer.search.contest.export_openvino", absent)
    compress(done.request, done.out)
    baselines = (FUSED_TEACHER, INT8_TEACHER)
    again = [choice for choice in done.decisions if choice[0] not in baselines]
    assert again == [choice for choice in decisions if choice[0] not in baselines]
    assert done.devs == devs
    assert done.events("verdict")[0]["chosen"] == list(devs)[-1]
    record.write_text(whole)


def test_an_interrupted_training_goes_on_and_ends_with_the_same_qualities(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search("classification")
    again = Search(done.request, tmp_path / "lean")
    again.out.mkdir()
    shutil.copy(done.out / "request.json", again.out)
    shutil.copytree(done.out / "baselines", again.out / "baselines")  # they take seconds to make
    monkeypatch.setattr(_MODULE, "finish", lambda *_: None)
    first, steps = next(iter(done.devs)), []

    def stop(name: str, progress: Any) -> None:
        if isinstance(progress, Progress) and progress.step == 4:
            raise KeyboardInterrupt

    def watch(name: str, progress: Any) -> None:
        if isinstance(progress, Progress) and name == first:
            steps.append(progress.step)

    with pytest.raises(KeyboardInterrupt):
        compress(again.request, again.out, watch=stop)
    assert not again.devs
    compress(again.request, again.out, watch=watch)
    assert steps == [4, 5, 6]
    assert again.devs == done.devs
    expected = [choice for choice in done.decisions if choice[1] != "chosen"]
    assert set(again.decisions) == set(expected)


def test_a_rung_of_which_nothing_comes_is_rejected_with_the_reason(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search("classification")
    out = tmp_path / "lean"
    out.mkdir()
    shutil.copytree(done.out / "baselines", out / "baselines")
    shutil.copy(done.out / "request.json", out)

    def broken(*_: Any, **__: Any) -> None:
        raise NoEffect("integer kernels: is 0")

    said: list[Any] = []
    monkeypatch.setattr(_MODULE, "run", broken)
    export = partial(export_folder, candidates=[])
    monkeypatch.setattr("leanformer.search.finish.export_folder", export)
    compress(done.request, out, watch=lambda name, text: said.append(text))
    again = Search(done.request, out)
    assert next(c[1:] for c in again.decisions if c[0].startswith("L")) == (
        "rejected", "integer kernels: is 0",
    )  # fmt: skip
    assert again.events("verdict")[0]["chosen"] == INT8_TEACHER
    assert set(again.devs) == set()
    assert any("integer kernels: is 0" in text for text in said)


def test_long_texts_are_told_of(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    request = replace(search("classification").request, max_length=8)
    monkeypatch.setattr(_MODULE, "_Search", None)  # the telling comes first
    with pytest.raises(TypeError):
        compress(request, tmp_path / "lean", watch=lambda name, text: said.append(text))
    assert "of 48 training texts are longer than the 8 tokens that are read" in said[0]


def test_a_teacher_that_knows_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_data(tmp_path / "data", "regression")
    model, tokenizer = tiny_model("bert", num_labels=1, max_position_embeddings=160)
    model.classifier.weight.data.zero_()
    save_model(model, tokenizer, tmp_path / "teacher")
    monkeypatch.setattr("leanformer.search.contest.export_openvino", absent)
    request = Request(model=str(tmp_path / "teacher"), data=source, threads=1)
    with pytest.raises(ValueError, match="the teacher's spearman on dev is 0, there is nothing to"):
        compress(request, tmp_path / "lean")


def test_a_model_of_one_layer_has_no_smaller_student(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_MODULE, "ladder", lambda layers: [])
    monkeypatch.setattr("leanformer.search.contest.export_openvino", absent)
    with pytest.raises(ValueError, match="there is no smaller student to search for"):
        compress(search("classification").request, tmp_path / "lean")


def test_the_teacher_of_a_headless_model_is_fine_tuned_first(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_MODULE, "ladder", lambda layers: [])
    monkeypatch.setattr("leanformer.search.contest.export_openvino", absent)
    monkeypatch.setattr(Request, "teacher_setup", lambda self, examples: _SETUP)
    encoder = tiny_data.write_encoder(tmp_path / "encoder")
    request = replace(search("classification").request, model=str(encoder))
    with pytest.raises(ValueError, match="no smaller student"):
        compress(request, tmp_path / "lean")
    (step,) = [e for e in read(tmp_path / "lean" / "record.jsonl") if e["event"] == "step"]
    assert (step["model"], step["step"]) == ("teacher", "finetune")
    teacher = tmp_path / "lean" / "work" / "teacher" / "00-finetune" / "model"
    assert graph_file(teacher, "pytorch", "fp32").is_file()


def test_outputs_without_room_are_asked_for_anew_also_after_a_resume(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without the outputs on disk the students are the same but for bf16."""
    done = search("classification")
    assert [event["kept"] for event in done.events("teacher_outputs")] == [True]
    assert not (done.out / "work" / "teacher-outputs").exists()
    out, said = tmp_path / "lean", []  # type: ignore[var-annotated]
    out.mkdir()
    shutil.copy(done.out / "request.json", out)
    shutil.copytree(done.out / "baselines", out / "baselines")
    monkeypatch.setattr(_MODULE, "finish", lambda *_: None)
    monkeypatch.setattr(_MODULE, "_MOST", 10)

    def stop(name: str, progress: Any) -> None:
        said.append(progress)
        if isinstance(progress, Progress) and progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(done.request, out, watch=stop)
    assert any("have no room on disk" in text for text in said if isinstance(text, str))
    monkeypatch.undo()
    monkeypatch.setattr(_MODULE, "finish", lambda *_: None)
    compress(done.request, out)
    again = Search(done.request, out)
    assert [event["kept"] for event in again.events("teacher_outputs")] == [False]
    assert again.devs.keys() == done.devs.keys()
