"""Graphs of models that add relative positions to their scores: MPNet and DeBERTa-v2.

The positions are computed in the graph from the length of the texts, and a layer that was cut takes
those of its own heads.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_samples import calibration_of, outputs

from leanformer.core.proof import NoEffect
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.families import OWN_ATTENTION
from leanformer.models.tiny import tiny_model
from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.onnx.session import OnnxSession
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.openvino.session import OpenVinoSession


def cut(family: str) -> tuple[Any, Any, Any]:
    """A model whose layers keep different heads, its tokenizer, and texts of several lengths."""
    model, tokenizer = tiny_model(family)
    keep_heads(model, [[0, 2], [1], [0, 1, 3]])
    return model, tokenizer, calibration_of(tokenizer)


def said(session: Any, graph: InferenceGraph, calibration: Any) -> Any:
    return [session.run(**arrays)[0] for arrays in calibration.arrays(graph.inputs)]


@pytest.mark.parametrize("family", OWN_ATTENTION)
def test_openvino_equals_pytorch_at_every_length(family: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs openvino")
    model, _, calibration = cut(family)
    export_openvino(model, "classification", tmp_path / "x")
    graph = InferenceGraph(model, "classification")
    session = OpenVinoSession(tmp_path / "x" / "openvino_model.xml", "fp32", threads=1)
    got = said(session, graph, calibration)
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=2e-4)


@pytest.mark.parametrize("family", OWN_ATTENTION)
def test_openvino_in_int8_is_near(family: str, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="int8 calibrates with NNCF")
    model, _, calibration = cut(family)
    export_openvino(
        model, "classification", tmp_path / "x", precision="int8", calibration=calibration
    )
    graph = InferenceGraph(model, "classification")
    session = OpenVinoSession(
        tmp_path / "x" / "openvino_model_qint8_quantized.xml", "int8", threads=1
    )
    got = said(session, graph, calibration)
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=0.1)


def test_onnx_equals_pytorch_without_fused_attention(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model, _, calibration = cut("mpnet")
    with pytest.raises(NoEffect, match="attention blocks fused: was 0 and is 0 nodes, asked for 3"):
        export_onnx(model, "classification", tmp_path / "fused")
    export_onnx(model, "classification", tmp_path / "x", fused=False)
    graph = InferenceGraph(model, "classification")
    session = OnnxSession(tmp_path / "x" / "model.onnx", "fp32", threads=1)
    got = said(session, graph, calibration)
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=2e-4)
