"""The main job, whole, on a tiny model of every kind of task: what it tells, and what it refuses.

The timing itself has its own tests, and so has the command line; so has what is resumed.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_data
from search.whole import ALONE, BARE, KINDS, SETUP, Search, absent, reuse, write_data

import leanformer
from leanformer.core.proof import NoEffect
from leanformer.core.record import read
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.backends import graph_file
from leanformer.search import Request, compress
from leanformer.search.entrants.simplest import SIMPLEST
from leanformer.search.entry import FUSED_TEACHER, INT8_TEACHER, TEACHER

pytest.importorskip("openvino", reason="students are judged as OpenVINO graphs")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("short")]
_MODULE = sys.modules["leanformer.search.compress"]  # the package has a function of this name


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.thorough] if kind in ("regression", "pairs") else [])
        for kind in KINDS
    ],
)
def test_the_record_tells_the_whole_search(search: Callable[[str], Search], kind: str) -> None:
    done = search(kind)
    assert (done.out / "report.html").read_text().rstrip().endswith("</html>")
    (run,) = done.events("run")
    assert run["task"]["kind"] == done.dataset.task.kind
    taught = ["finetune"] if kind in BARE else []
    assert [step["step"] for step in done.events("step")][: 4 + len(taught)] == [
        *taught, "cut-vocabulary", "shrink", "distill", "int8",
    ]  # fmt: skip
    (verdict,) = done.events("verdict")
    assert verdict["outcome"] in ("kept", "unproven", "not kept")
    dev = done.dataset.dev
    judged = len(dev) if dev.groups is None else len(set(dev.groups))  # rankings, by query
    assert verdict["promise"]["examples"] == judged
    students = list(done.devs)
    assert verdict["chosen"] == students[-1]
    assert (students[-1], "chosen") in [choice[:2] for choice in done.decisions]
    assert (FUSED_TEACHER, "skipped", "not installed here") in done.decisions
    (backends,) = done.events("backends")
    assert [row["backend"] for row in backends["rows"] if row["chosen"]]
    slices = done.events("slices")
    by = {"length", "class"} if kind in ("classification", "pairs") else {"length"}
    by = set() if kind == "ranking" else by
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
    after = [split for split, chosen in done.judged if chosen]
    (backends,) = done.events("backends")
    (served,) = [row for row in backends["rows"] if row["chosen"]]
    again = [] if (served["backend"], served["precision"]) == ("openvino", "int8") else ["dev"]
    assert after == [*again, *["test"] * splits.count("test")]  # as served, if in another way
    tested = {e["name"] for e in done.events("model") if e["quality"]["test"] is not None}
    rivals = set() if kind in ALONE else {INT8_TEACHER}
    (verdict,) = done.events("verdict")
    exported = verdict["exported"]
    assert exported.startswith(list(done.devs)[-1])
    assert tested == {TEACHER, exported, SIMPLEST, *rivals}
    assert splits.count("test") == len(tested)
    (model,) = [e for e in done.events("model") if e["name"] == exported and e["quality"]["test"]]
    assert (model["backend"], model["precision"]) == (served["backend"], served["precision"])


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
    if kind in ("regression", "ranking"):
        assert all(isinstance(answer, float) for answer in answers)
    elif kind == "multi-label":
        assert {one.label for answer in answers for one in answer} <= set(task.labels)
    elif kind == "tokens":
        assert {span.label for spans in answers for span in spans} <= {"ANIMAL"}
    else:
        labels = [task.labels.index(answer.label) for answer in answers]
        share = np.mean(np.array(labels) == np.array(test.labels))
        (tested,) = {
            e["quality"]["test"] for e in done.events("model")
            if e["name"] == done.events("verdict")[0]["exported"]
            and e["quality"]["test"] is not None
        }  # fmt: skip
        assert share == pytest.approx(tested, abs=1 / len(test))  # what was recorded is served


def test_a_rung_of_which_nothing_comes_is_rejected_with_the_reason(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = search("classification")
    out = tmp_path / "lean"
    reuse(done, out)

    def broken(*_: Any, **__: Any) -> None:
        raise NoEffect("integer kernels: is 0")

    said: list[Any] = []
    monkeypatch.setattr("leanformer.search.students.trainer.run", broken)
    monkeypatch.setattr("leanformer.search.finish.DEFAULT", ())
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
    assert "cut at 8" in said[0]


def test_a_teacher_that_knows_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_data(tmp_path / "data", "regression")
    model, tokenizer = tiny_model("bert", num_labels=1, max_position_embeddings=160)
    model.classifier.weight.data.zero_()
    save_model(model, tokenizer, tmp_path / "teacher")
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    request = Request(model=str(tmp_path / "teacher"), data=source, threads=1)
    with pytest.raises(ValueError, match="the teacher's spearman on dev is 0, there is nothing to"):
        compress(request, tmp_path / "lean")


def test_a_model_of_one_layer_has_no_smaller_student(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = search("classification").request
    monkeypatch.setattr(_MODULE, "ladder", lambda *_, **__: [])
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    with pytest.raises(ValueError, match="there is no smaller student to search for"):
        compress(request, tmp_path / "lean")


def test_the_teacher_of_a_headless_model_is_fine_tuned_first(
    search: Callable[[str], Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = tiny_data.write_encoder(tmp_path / "encoder")
    request = replace(search("classification").request, model=str(encoder))
    monkeypatch.setattr(_MODULE, "ladder", lambda *_, **__: [])
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    monkeypatch.setattr(Request, "teacher_setup", lambda self, examples: SETUP)
    with pytest.raises(ValueError, match="no smaller student"):
        compress(request, tmp_path / "lean")
    (step,) = [e for e in read(tmp_path / "lean" / "record.jsonl") if e["event"] == "step"]
    assert (step["model"], step["step"]) == ("teacher", "finetune")
    teacher = tmp_path / "lean" / "work" / "teacher" / "00-finetune" / "model"
    assert graph_file(teacher, "pytorch", "fp32").is_file()
