"""What a user has today takes part; what cannot be had is recorded once, with the reason."""

from pathlib import Path
from typing import Any

import pytest
from search.toy import contest_of

from leanformer.core.proof import NoEffect
from leanformer.core.record import read
from leanformer.search.entrants.baselines import enter_baselines
from leanformer.search.entry import FUSED_TEACHER, INT8_TEACHER, TEACHER


def test_a_baseline_that_cannot_be_had_is_recorded_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest = contest_of(tmp_path, "classification")

    def broken(*_: Any, **__: Any) -> None:
        raise NoEffect("integer kernels: is 0")

    def absent(*_: Any, **__: Any) -> None:
        raise ImportError("pip install onnxruntime")

    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", broken)
    monkeypatch.setattr("leanformer.runtime.onnx.export.export_onnx", absent)
    said: list[str] = []
    contest.watch = lambda name, text: said.append(text)
    enter_baselines(contest, tmp_path / "baselines")
    assert list(contest.entries) == [TEACHER]
    events = read(contest.record.path)
    reasons = {e["name"]: e["reason"] for e in events if e["event"] == "choice"}
    assert reasons == {
        INT8_TEACHER: "integer kernels: is 0",
        FUSED_TEACHER: "pip install onnxruntime",
    }
    (model,) = [e for e in events if e["event"] == "model"]
    assert model["role"] == "teacher"
    assert model["quality"] == {"dev": contest.quality_of_teacher, "test": None}
    enter_baselines(contest, tmp_path / "baselines")  # resumed: recorded once, not tried again
    assert len(contest.known("choice")) == 2
    assert said[:1] == ["baselines: PyTorch fp32, ONNX Runtime fp32, OpenVINO int8 of the teacher"]


def test_what_was_made_of_another_teacher_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest, folder = contest_of(tmp_path, "classification"), tmp_path / "baselines"
    contest.graphs = False
    enter_baselines(contest, folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "openvino_model.xml").write_text("of the former teacher")
    enter_baselines(contest, folder)
    assert (folder / "openvino_model.xml").is_file()  # of this teacher, as far as is known
    contest.teacher.classifier.bias.data += 1
    contest.enter_teacher(contest.place, (contest.teacher, contest.tokenizer))
    enter_baselines(contest, folder)
    assert not (folder / "openvino_model.xml").exists()
    assert (folder / "model.safetensors").read_bytes() != weights
