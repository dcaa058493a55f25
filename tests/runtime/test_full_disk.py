"""Exports onto a disk that is too small: one error that names the disk, and nothing left there."""

import os

import pytest
from runtime_samples import LABELS, calibration_of
from small_disk import small_disk

from leanformer.core.storage.disk import DiskFull
from leanformer.data.task import Task
from leanformer.models.tiny import tiny_model
from leanformer.runtime import export as exporting
from leanformer.runtime.export import export_folder
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.openvino.export import export_openvino


@pytest.mark.parametrize(
    ("export", "share", "name"),
    [
        (export_openvino, 0.5, "openvino_model.xml"),  # in this process
        (export_openvino, 1.5, "openvino_model.xml"),  # in the child
        (export_onnx, 0.5, "model.onnx"),
        (export_onnx, 1.5, "model.onnx"),
    ],
)
def test_a_graph_that_has_no_room(tmp_path, export, share, name):
    model, _ = tiny_model("bert")
    size = sum(parameter.nbytes for parameter in model.parameters())
    with small_disk(tmp_path / "disk", round(share * size)) as place:
        with pytest.raises(
            DiskFull, match=rf"{name} could not be written: No space left on device"
        ):
            export(model, "classification", place / "graphs")
        assert os.listdir(place) == []


def test_a_served_folder_that_has_no_room_keeps_the_former_one(tmp_path, monkeypatch):
    model, tokenizer = tiny_model("bert")
    size = sum(parameter.nbytes for parameter in model.parameters())
    monkeypatch.setattr(exporting, "check_room", lambda *_: None)  # another process took the room
    with small_disk(tmp_path / "disk", round(1.5 * size)) as place:
        (place / "model").mkdir()
        (place / "model" / "one").write_text("old")
        with pytest.raises(DiskFull, match=r"disk/model could not be written: No space left"):
            export_folder(
                model,
                tokenizer,
                Task(kind="classification", labels=LABELS),
                place / "model",
                calibration_of(tokenizer),
                candidates=[("openvino", "fp32")],
                overwrite=True,
            )
        assert (place / "model" / "one").read_text() == "old"
        assert os.listdir(place) == ["model"]
