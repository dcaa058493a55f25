"""The main job where students are cut from another encoder than the teacher."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
from distill.teachers_elsewhere import teacher_of
from search.whole import SETUP, Search, absent, one_student, quick

import leanformer
import leanformer.search
from leanformer.cli import main
from leanformer.data import Dataset, Source, encode_examples
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.search import Request, compress
from leanformer.search.entry import FUSED_TEACHER, INT8_TEACHER, TEACHER
from leanformer.search.students.ladder import ladder
from leanformer.train import Supervised, fit

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")


LONG = replace(SETUP, epochs=40)  # enough for answers that int8 does not blur


def write_teacher(folder: Path, family: str, dataset: Dataset) -> Path:
    """A trained teacher of an architecture that is never cut."""
    kind, labels = dataset.task.kind, dataset.task.labels
    model, tokenizer = teacher_of(family, kind, max_position_embeddings=160)
    if labels:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: number for number, label in enumerate(labels)}
    if kind != "embedding":
        encoded = encode_examples(dataset.train, tokenizer, kind, 64)
        fit(model, encoded, Supervised(kind), LONG)
    save_model(model.eval(), tokenizer, folder)
    return folder


def request_of(place: Path, family: str, kind: str, **settings: Any) -> Request:
    source = Source(path=str(tiny_data.write_data(place / "data", kind)))
    return Request(
        model=str(write_teacher(place / "teacher", family, source.read())),
        data=source,
        student=str(tiny_data.write_encoder(place / "encoder")),
        keep=0.3,
        threads=1,
        **settings,
    )


@pytest.fixture(scope="module")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A Qwen3 that teaches classes to a BERT; OpenVINO is asked for its graph, too."""
    place = tmp_path_factory.mktemp("qwen3")
    done = Search(request_of(place, "qwen3", "classification"), place / "lean")
    with quick(), pytest.MonkeyPatch.context() as patch:
        one_student(patch)
        patch.setattr("leanformer.search.finish.DEFAULT", ())
        patch.setattr(Request, "student_setup", lambda self, examples: LONG)
        compress(done.request, done.out)
    return done


@pytest.mark.slow
def test_a_decoder_teaches_an_encoder_by_its_answers(qwen3: Search) -> None:
    (name,) = qwen3.devs
    assert qwen3.devs[name] > 0.5
    steps = {step["step"]: step["settings"] for step in qwen3.events("step")}
    assert list(steps) == ["cut-vocabulary", "shrink", "distill", "int8"]
    assert [one["use"] for one in steps["distill"]["objectives"]] == ["soft-targets"]
    assert steps["distill"]["teacher_max_length"] == qwen3.request.max_length
    assert steps["shrink"]["criterion"]["use"] == "activation"  # its head was never trained
    assert qwen3.events("run")[0]["student"] == qwen3.request.student


@pytest.mark.slow
def test_the_baselines_are_those_of_the_teacher(qwen3: Search) -> None:
    reasons = {name: reason for name, decision, reason in qwen3.decisions if decision == "skipped"}
    assert "OpConversionFailure" in reasons[INT8_TEACHER]
    assert len(reasons[INT8_TEACHER]) <= 400
    assert FUSED_TEACHER in reasons
    (teacher,) = {e["shape"]["vocabulary"] for e in qwen3.events("model") if e["name"] == TEACHER}
    _, theirs = load_model(qwen3.request.model, "classification")
    assert teacher == len(theirs)


@pytest.mark.slow
def test_the_student_reads_with_its_own_tokenizer(qwen3: Search) -> None:
    model, tokenizer = load_model(qwen3.out / "model", "classification")
    _, whole = load_model(qwen3.request.student or "", "embedding")
    assert model.config.model_type in ("bert", "lean-bert")
    assert set(tokenizer.get_vocab()) <= set(whole.get_vocab())
    answers = leanformer.load(qwen3.out / "model", threads=1).predict(qwen3.dataset.test.texts)
    assert {answer.label for answer in answers} <= set(qwen3.dataset.task.labels)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_a_number_is_taught_to_the_whole_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    monkeypatch.setattr("leanformer.search.finish.DEFAULT", ())
    monkeypatch.setattr(Request, "student_setup", lambda self, examples: LONG)
    module = sys.modules["leanformer.search.compress"]  # the package has a function of this name
    monkeypatch.setattr(module, "ladder", lambda *args, **settings: ladder(*args, **settings)[:1])
    done = Search(request_of(tmp_path, "albert", "regression"), tmp_path / "lean")
    compress(done.request, done.out)
    steps = {step["step"]: step["settings"] for step in done.events("step")}
    assert list(steps) == ["cut-vocabulary", "distill", "int8"]
    assert [one["use"] for one in steps["distill"]["objectives"]] == ["logits"]
    assert done.devs["L3-h100-f100"] > 0.5
    (verdict,) = done.events("verdict")
    assert verdict["promise"]["examples"] == len(done.dataset.dev)
    answers = leanformer.load(done.out / "model", threads=1).predict(["the dog"], ["the fox"])
    assert isinstance(answers[0], float)


@pytest.mark.parametrize("family", ["qwen3", "albert", "nomic_bert", "gemma"])
def test_without_another_encoder_the_refusal_names_the_option(family: str, tmp_path: Path) -> None:
    request = replace(request_of(tmp_path, family, "embedding"), student=None)
    with pytest.raises(ValueError, match=rf"architecture '{family}' is not known.*--student"):
        compress(request, tmp_path / "lean")
    assert not (tmp_path / "lean").exists()


def test_an_encoder_that_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    request = request_of(tmp_path, "albert", "embedding")
    with pytest.raises(ValueError, match="teacher: no students can be cut from it"):
        compress(replace(request, student=request.model), tmp_path / "lean")


def test_vectors_of_another_width_are_refused_before_any_work(tmp_path: Path) -> None:
    request = request_of(tmp_path, "albert", "embedding")
    narrow, tokenizer = tiny_model("bert", head="embedding", hidden_size=16)
    save_model(narrow, tokenizer, tmp_path / "narrow")
    with pytest.raises(ValueError, match="narrow are 16 wide and the teacher's 32"):
        compress(replace(request, student=str(tmp_path / "narrow")), tmp_path / "lean")
    assert not (tmp_path / "lean").exists()


def test_tags_are_not_taught_across_vocabularies(tmp_path: Path) -> None:
    data = tiny_data.write_data(tmp_path / "data", "tokens")
    for family in ("bert", "roberta"):
        save_model(*tiny_model(family, head="embedding"), tmp_path / family)
    request = Request(
        model=str(tmp_path / "bert"), data=Source(path=str(data)), student=str(tmp_path / "roberta")
    )
    with pytest.raises(ValueError, match="tokens compares the answers of both models token by"):
        compress(request, tmp_path / "lean")
    assert not (tmp_path / "lean").exists()


@pytest.mark.parametrize(
    ("options", "expected"), [([], None), (["--student", "encoder"], "encoder")]
)
def test_the_option(
    options: list[str], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def search(request: Request, out: Path, **_: Any) -> Path:
        asked.append(request)
        return out

    monkeypatch.setattr(leanformer.search, "compress", search)
    words = ["leanformer", "compress", "model", "data.tsv", "--out", str(tmp_path), *options]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        main()
    assert [request.student for request in asked] == [expected]
