import numpy as np
from runtime_samples import plain_folder

from leanformer.core.machine.child import ChildFailed
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.runtime.manifest import Manifest, read_manifest, write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.serving import smoke
from leanformer.runtime.serving.smoke import smoke_test, try_folder


def test_a_backend_that_answers_has_no_reason_against_it(classifier):
    found = smoke_test(classifier, "pytorch", "fp32")
    assert found.reason == ""
    assert found.change < 1e-4


def test_a_backend_that_fails_says_why(classifier):
    found = smoke_test(classifier, "openvino", "int8")
    assert "holds no openvino int8 model" in found.reason
    assert found.change is None


def test_a_crash_or_a_hang_is_a_reason(classifier, monkeypatch):
    def crash(*_, **__):
        raise ChildFailed("crashed with SIGFPE")

    assert smoke_test(classifier, "pytorch", "fp32", seconds=0.01).reason.startswith(
        "did not answer"
    )
    monkeypatch.setattr(smoke, "call_in_child", crash)
    assert smoke_test(classifier, "openvino", "bf16").reason == "crashed with SIGFPE"


def test_a_graph_that_looks_at_its_batch_shows(tmp_path):
    model, _ = plain_folder(tmp_path)
    export_onnx(model, "classification", tmp_path / "onnx", precision="int8")
    export_onnx(model, "classification", tmp_path / "onnx", precision="fp32")
    write_manifest(tmp_path, read_manifest(tmp_path))
    assert try_folder(str(tmp_path), "onnxruntime", "int8") > 1e-3
    assert try_folder(str(tmp_path), "onnxruntime", "fp32") < 1e-4


def test_a_text_that_is_padded_by_more_than_a_local_window_is_answered(tmp_path):
    """OpenVINO answers a row that may attend to nothing with NaN, unless the graph sees to it."""
    model, tokenizer = tiny_model("modernbert")  # a window of 8, of 64 tokens
    save_model(model, tokenizer, tmp_path / "x")
    export_openvino(model, "classification", tmp_path / "x" / "openvino")
    labels = ("a", "b", "c")
    write_manifest(tmp_path / "x", Manifest(kind="classification", labels=labels, max_length=64))
    assert try_folder(str(tmp_path / "x"), "openvino", "fp32") < 1e-4
    assert np.isfinite(try_folder(str(tmp_path / "x"), "pytorch", "fp32"))
