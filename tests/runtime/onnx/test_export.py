import sys
from collections import Counter

import numpy as np
import pytest
from runtime_samples import calibration_of, outputs, uneven

from leanformer.core.proof import NoEffect, require
from leanformer.models.tiny import tiny_model
from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.onnx.export import attention_fused, export_onnx
from leanformer.runtime.onnx.session import OnnxSession, onnx_file

pytest.importorskip("onnxruntime", reason="needs onnxruntime")


def run(folder, calibration, inputs, precision="fp32"):
    session = OnnxSession(folder / onnx_file(precision), precision, threads=1)
    return [session.run(**arrays)[0] for arrays in calibration.arrays(inputs)]


@pytest.mark.parametrize("make", [lambda: tiny_model("bert"), uneven], ids=["even", "uneven"])
def test_every_layer_is_fused_and_fp32_equals_pytorch(make, tmp_path):
    model, tokenizer = make()
    calibration = calibration_of(tokenizer)
    proofs = export_onnx(model, "classification", tmp_path / "x")
    assert proofs[0].after == model.config.num_hidden_layers
    graph = InferenceGraph(model, "classification")
    got = run(tmp_path / "x", calibration, graph.inputs)
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=2e-4)
    assert model.config._attn_implementation == "sdpa"


def test_padding_is_masked_in_the_fused_graph(tmp_path):
    model, _ = tiny_model("bert", head="embedding")
    export_onnx(model, "embedding", tmp_path / "x")
    session = OnnxSession(tmp_path / "x" / "model.onnx", "fp32", threads=1)
    ids = np.array([[1, 7, 8, 2]], dtype=np.int64)
    padded = np.array([[1, 7, 8, 2, 9, 9]], dtype=np.int64)
    mask = np.array([[1, 1, 1, 1, 0, 0]], dtype=np.int64)
    np.testing.assert_allclose(
        session.run(ids, np.ones_like(ids)), session.run(padded, mask), atol=1e-5
    )


def test_int8_runs_integer_operators_and_is_smaller(tmp_path):
    model, tokenizer = tiny_model("bert")
    proofs = export_onnx(model, "classification", tmp_path / "x", precision="int8")
    assert proofs[1].after >= 4 * model.config.num_hidden_layers
    assert proofs[2].after < proofs[2].before
    calibration = calibration_of(tokenizer)
    graph = InferenceGraph(model, "classification")
    exact = np.stack(outputs(graph, calibration))
    got = np.stack(run(tmp_path / "x", calibration, graph.inputs, "int8"))
    assert 0 < np.abs(got - exact).max() < 0.1 * np.abs(exact).max()


def test_attention_that_did_not_fuse_is_an_error_unless_allowed():
    with pytest.raises(NoEffect, match="attention blocks fused: was 0 and is 1 nodes, asked for 2"):
        require([attention_fused(Counter(Attention=1), layers=2, demanded=True)])
    assert attention_fused(Counter(), layers=2, demanded=False).ok


def test_bf16_is_refused(tmp_path):
    with pytest.raises(ValueError, match="fp32 or int8 here, not 'bf16'"):
        export_onnx(tiny_model("bert")[0], "classification", tmp_path / "x", precision="bf16")


def test_a_missing_package_is_named_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="pip install onnxruntime onnx"):
        export_onnx(tiny_model("bert")[0], "classification", tmp_path / "x")
