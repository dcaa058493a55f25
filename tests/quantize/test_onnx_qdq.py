from typing import Any

import numpy as np
import pytest
import torch
from runtime_samples import calibration_of, outputs, without_output_grids
from torch import nn

from leanformer.core.proof import NoEffect
from leanformer.models.tiny import tiny_model
from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear
from leanformer.numerics.grid import Grid
from leanformer.quantize.onnx_qdq import codes_of, write_scales
from leanformer.quantize.post_training.insert_fake_quant import insert_fake_quant
from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.onnx.export import export_onnx, trace

pytest.importorskip("onnxruntime", reason="needs onnxruntime")

from leanformer.runtime.onnx.session import OnnxSession, onnx_file


def batches() -> list[dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    ids = torch.randint(5, 60, (3, 4, 12))
    return [{"input_ids": some, "attention_mask": torch.ones_like(some)} for some in ids]


def carrier(family: str, **settings: Any) -> tuple[Any, Any]:
    model, tokenizer = tiny_model(family)
    insert_fake_quant(model, batches(), **settings)
    return model, tokenizer


@pytest.mark.parametrize("smooth", [None, 0.7], ids=["plain", "smooth"])
@pytest.mark.parametrize(("family", "each"), [("bert", 6), ("distilbert", 6), ("modernbert", 4)])
def test_the_graph_rounds_as_the_model_does_and_runs_on_integers(
    family: str, each: int, smooth: float | None, tmp_path: Any
) -> None:
    model, tokenizer = carrier(family, smooth=smooth)
    proofs = export_onnx(
        model, "classification", tmp_path / "x", precision="int8", write_scales=write_scales
    )
    ran, stored = proofs
    assert ran.after >= ran.asked >= each * model.config.num_hidden_layers
    assert "MatMulIntegerToFloat" in ran.note
    assert stored.after < stored.before
    without_output_grids(model)  # ONNX Runtime multiplies queries with keys as floats
    graph, calibration = InferenceGraph(model, "classification"), calibration_of(tokenizer)
    session = OnnxSession(tmp_path / "x" / onnx_file("int8"), "int8", threads=1)
    got = np.stack([session.run(**one)[0] for one in calibration.arrays(graph.inputs)])
    missed = np.abs(got - np.stack(outputs(graph, calibration))).max(1)
    assert (missed >= 1e-5).sum() <= 1  # exact, but for a text with a number between two codes
    assert missed.max() < 2e-3
    assert any(isinstance(module, FakeQuantLinear) for module in model.modules())


def test_a_layer_in_floating_point_stays_so(tmp_path: Any) -> None:
    whole, _ = carrier("bert", smooth=None)
    name = "bert.encoder.layer.1.output.dense"
    other, _ = carrier("bert", smooth=None, modules_to_not_convert=(name,))
    products = [
        write_scales(trace, InferenceGraph(model, "classification"), tmp_path / "model.onnx")[0]
        for model in (whole, other)
    ]
    assert products == [18, 17]


def test_codes_are_those_that_the_layer_rounds_to() -> None:
    torch.manual_seed(0)
    smooth = torch.rand(6) + 0.5
    grid = Grid(scale=torch.tensor(0.1), zero_point=torch.tensor(3), low=0, high=255)
    layer = FakeQuantLinear(nn.Linear(6, 5), grid, smooth)
    codes, scale = codes_of(layer)
    x = torch.randn(4, 6)
    rounded = torch.fake_quantize_per_tensor_affine(x / smooth, 0.1, 3, 0, 255)
    expected = rounded @ (codes * scale[:, None]).T + layer.bias
    torch.testing.assert_close(layer(x), expected)
    table = FakeQuantEmbedding(nn.Embedding(7, 4), rows=torch.full((7,), 0.02))
    codes, scale = codes_of(table)
    assert codes.abs().max() <= 127
    torch.testing.assert_close(table(torch.arange(7)), codes * scale[:, None])


def test_fp32_of_a_model_with_scales_is_refused(tmp_path: Any) -> None:
    model, _ = carrier("bert")
    with pytest.raises(ValueError, match="precision: the model carries int8 scales"):
        export_onnx(model, "classification", tmp_path / "x")
    with pytest.raises(ValueError, match=r"write_scales: .* leanformer\.quantize\.onnx_qdq"):
        export_onnx(model, "classification", tmp_path / "x", precision="int8")
    assert not (tmp_path / "x").exists()


def test_a_graph_without_the_products_is_refused(tmp_path: Any) -> None:
    model, _ = carrier("bert")
    graph = InferenceGraph(model, "classification")

    def renamed(graph: Any, path: Any) -> None:
        import onnx

        trace(graph, path)
        traced = onnx.load(path)
        for node in traced.graph.node:
            node.name = node.name.replace("encoder", "other")
        onnx.save(traced, path)

    with pytest.raises(NoEffect, match="no product of a layer with scales"):
        write_scales(renamed, graph, tmp_path / "model.onnx")
