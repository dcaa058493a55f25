"""A recipe whose teacher is of an architecture that cannot be cut, from data to report."""

from pathlib import Path

import pytest
import tiny_data
from distill.teachers_elsewhere import teacher_of
from search.whole import absent, measure_briefly

from leanformer.core.record import read
from leanformer.data import Source
from leanformer.distill.step import Distill
from leanformer.models.io.save import save_model
from leanformer.quantize.int8 import Int8
from leanformer.recipe import Recipe
from leanformer.search.conduct import conduct
from leanformer.train.setup import TrainSetup


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen3"])
def test_a_teacher_of_another_architecture_is_measured_beside_its_student(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", absent)
    monkeypatch.setattr("leanformer.runtime.onnx.export.export_onnx", absent)
    measure_briefly(monkeypatch)
    data = tiny_data.write_data(tmp_path / "data")
    teacher, tokenizer = teacher_of(family, "classification")
    teacher.config.id2label = {0: "money", 1: "animal"}
    teacher.config.label2id = {"money": 0, "animal": 1}
    save_model(teacher, tokenizer, tmp_path / "teacher")
    student = tiny_data.write_encoder(tmp_path / "student")
    train = TrainSetup(epochs=1, batch_size=8)
    recipe = Recipe(
        model=str(student),
        teacher=str(tmp_path / "teacher"),
        data=Source(path=str(data)),
        steps=(
            Distill(train=train, max_length=48, require_improvement=False),
            Int8(texts=4, max_length=48),
        ),
    )
    done, report = conduct(recipe, tmp_path / "out")
    assert report is not None
    assert report.is_file()
    rows = [e for e in read(tmp_path / "out" / "record.jsonl") if e["event"] == "model"]
    assert {row["role"] for row in rows} >= {"teacher", "candidate"}
    assert done.model.config.model_type == "bert"
