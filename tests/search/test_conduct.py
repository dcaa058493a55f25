import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_data
from search.whole import absent

import leanformer
from leanformer.core.record import read
from leanformer.core.step import Step
from leanformer.data import Source
from leanformer.distill.objectives import SoftTargets
from leanformer.distill.step import Distill
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.prune.cut_vocabulary import CutVocabulary
from leanformer.prune.shrink import Shrink
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe
from leanformer.search.conduct import conduct
from leanformer.search.contest import Contest
from leanformer.train.steps.finetune import Finetune

_MODULE = sys.modules["leanformer.search.conduct"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_data.write_data(tmp_path_factory.mktemp("data") / "animals")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    return tiny_data.write_classifier(tmp_path_factory.mktemp("teacher") / "model", data)


def recipe(model: Path, data: Path, *steps: Step, measure: bool = True) -> Recipe:
    return Recipe(model=str(model), data=Source(path=str(data)), steps=steps, measure=measure)


def test_a_recipe_without_measures_has_no_report(teacher: Path, data: Path, tmp_path: Path) -> None:
    asked = recipe(teacher, data, CutVocabulary(), measure=False)
    done, report = conduct(asked, tmp_path, command="leanformer run small.toml")
    assert report is None
    assert done.saved == tmp_path / "00-cut-vocabulary" / "model"
    assert leanformer.load(done.saved, threads=1).predict(["the quick fox"])[0].label
    run, plan, step = read(tmp_path / "record.jsonl")
    assert (run["event"], run["command"]) == ("run", "leanformer run small.toml")
    assert plan["event"] == "plan"
    assert (step["event"], step["step"]) == ("step", "cut-vocabulary")


def test_what_is_not_int8_is_not_measured(teacher: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match="steps: the last one must be int8 for the result"):
        conduct(recipe(teacher, data, Shrink(layers=1)), out)
    assert not out.exists()


def test_there_must_be_a_teacher_to_compare_with(data: Path, tmp_path: Path) -> None:
    encoder = tiny_data.write_encoder(tmp_path / "encoder")  # no head, so no teacher
    with pytest.raises(ValueError, match="teacher: there is none to compare with; name one"):
        conduct(recipe(encoder, data, Int8()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_metric_that_dev_cannot_tell_is_refused_before_any_work(
    teacher: Path, tmp_path: Path
) -> None:
    data, out = tiny_data.write_data(tmp_path / "data"), tmp_path / "out"
    (data / "dev.tsv").write_text("text\tlabel\nthe quick fox\tanimal\nthe lazy dog\tanimal\n")
    asked = recipe(teacher, data, Int8())
    with pytest.raises(ValueError, match="even the right answers to its 2 examples have a mcc of"):
        conduct(replace(asked, data=replace(asked.data, metric="mcc")), out)
    assert not out.exists()


def test_a_teacher_that_has_nothing_to_keep_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = tiny_model("bert", num_labels=2, max_position_embeddings=160)
    model.config.id2label = {0: "animal", 1: "money"}
    model.config.label2id = {"animal": 0, "money": 1}
    model.classifier.weight.data.zero_()  # one answer for all: a Matthews correlation of 0
    save_model(model, tokenizer, tmp_path / "teacher")
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    monkeypatch.setattr("leanformer.runtime.onnx.export.export_onnx", absent)
    asked = recipe(tmp_path / "teacher", data, Int8(texts=4))
    with pytest.raises(ValueError, match="the teacher's mcc on dev is 0, there is nothing to keep"):
        conduct(replace(asked, data=replace(asked.data, metric="mcc")), tmp_path / "out")


def test_an_unknown_model_is_refused_before_anything_is_written(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="nowhere"):
        conduct(recipe(tmp_path / "nowhere", data, CutVocabulary()), out)
    assert not out.exists()


@pytest.mark.slow
def test_an_int8_result_without_measures_opens_as_what_it_is(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")
    done, _ = conduct(recipe(teacher, data, Int8(texts=4, max_length=48), measure=False), tmp_path)
    assert done.saved is not None
    model = leanformer.load(done.saved, threads=1)
    served = model.manifest
    assert (served.backend, served.precision, served.max_length) == ("openvino", "int8", 48)
    assert model.predict(["the quick fox"])[0].label in model.manifest.labels


@pytest.mark.parametrize(("best", "weak"), [(False, False), (True, True)])
def test_a_promise_says_that_dev_chose_the_weights_too(best: bool, weak: bool) -> None:
    distill = Distill(objectives=(SoftTargets(),), load_best_at_end=best)
    asked = recipe(Path("model"), Path("data"), Finetune(), distill, Int8())
    assert bool(_MODULE._chosen_by_dev(asked)) == weak
    assert _MODULE._chosen_by_dev(
        replace(asked, teacher="teacher")
    )  # the fine-tuned one is the student


@pytest.mark.slow
def test_a_finished_recipe_is_not_measured_again(
    teacher: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")
    contests: list[Contest] = []

    def finish(contest: Contest, *_: Any, **__: Any) -> None:
        contests.append(contest)
        contest.record.write(
            "verdict", chosen=None, teacher="", baseline="", sentence="Nothing was kept."
        )

    monkeypatch.setattr(Contest, "check_teacher", lambda *_: None)
    monkeypatch.setattr(_MODULE, "enter_baselines", lambda *_: None)
    monkeypatch.setattr(_MODULE, "enter_simplest", lambda *_: None)
    monkeypatch.setattr(_MODULE, "finish", finish)
    monkeypatch.setattr(_MODULE, "write_report", lambda record, page: page)
    asked = recipe(teacher, data, Int8(texts=4))
    for _ in range(2):
        done, report = conduct(asked, tmp_path)
        assert done.saved == tmp_path / "00-int8" / "model"
        assert report == tmp_path / "report.html"
    assert len(contests) == 1
    assert list(contests[0].entries) == ["student"]
