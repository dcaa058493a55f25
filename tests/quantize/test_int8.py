import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from train.toy import FAST, examples

from leanformer.core.proof import NoEffect
from leanformer.core.record import Record, read
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Task, encode_examples
from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised, fit

pytest.importorskip("openvino", reason="the int8 step writes an OpenVINO graph")
pytest.importorskip("nncf", reason="the int8 step calibrates with NNCF")

from leanformer.quantize import int8
from leanformer.quantize.int8 import Int8
from leanformer.quantize.post_training import float_layers
from leanformer.runtime.backends import graph_file
from leanformer.runtime.openvino.graph import executed_precision
from leanformer.runtime.openvino.session import OpenVinoSession


@pytest.fixture(scope="module")
def learnt() -> tuple[Any, Any]:
    """A model that has learnt its task: its answers are far from the boundary."""
    model, tokenizer = tiny_model("bert", num_labels=2, hidden_size=64, intermediate_size=128)
    encoded = encode_examples(examples(), tokenizer, "classification", 32)
    fit(model, encoded, Supervised("classification"), replace(FAST, epochs=10))
    return model, tokenizer


@pytest.fixture
def workspace(tmp_path: Path, learnt: tuple[Any, Any]) -> Workspace:
    model, tokenizer = copy.deepcopy(learnt[0]), learnt[1]
    texts = examples()
    task = Task(kind="classification", labels=("music", "rice"))
    dataset = Dataset(name="toy", task=task, train=texts, dev=texts, test=texts)
    return Workspace(
        name="small", model=model, tokenizer=tokenizer, dataset=dataset, folder=tmp_path,
        record=Record(tmp_path / "record.jsonl"),
    )  # fmt: skip


@pytest.mark.parametrize("scales", ["nncf", "own"])
def test_the_graph_runs_in_integers_and_says_what_the_model_says(
    workspace: Workspace, scales: Any
) -> None:
    done = Int8(scales=scales, max_length=32).apply(workspace)
    assert done.saved is not None
    assert (done.saved / "config.json").is_file()
    assert list(done.saved.rglob("*.xml"))
    assert done.proofs
    assert all(proof.ok for proof in done.proofs)
    (event,) = read(workspace.record.path)
    losses = [row["loss"] for row in event["rows"]]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) >= 18  # six linear layers in each of three layers


def test_our_own_scales_run_in_onnxruntime_too(workspace: Workspace) -> None:
    pytest.importorskip("onnxruntime", reason="writes an ONNX graph")
    done = Int8(scales="own", onnx=True, max_length=32).apply(workspace)
    assert done.saved is not None
    assert graph_file(done.saved, "onnxruntime", "int8").is_file()
    claims = [proof.claim for proof in done.proofs]
    assert sum("executed in int8" in claim for claim in claims) == 2
    assert sum("ONNX Runtime int8" in f"{p.claim} {p.note}" for p in done.proofs) == 1


def test_onnx_without_scales_of_our_own_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ValueError, match=r'onnx: NNCF keeps its scales .* set scales = "own"'):
        Int8(onnx=True).apply(workspace)
    assert not (workspace.folder / "model").exists()


def test_our_own_scales_have_settings(workspace: Workspace) -> None:
    step = Int8(
        scales="own", ranges="mse", smooth=None, correct_bias=True, texts=4, max_length=32
    )  # fmt: skip
    done = step.apply(workspace)
    assert all(proof.ok for proof in done.proofs)


def test_a_graph_that_says_something_else_fails(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = encode_examples(workspace.dataset.dev, workspace.tokenizer, "classification", 32)
    turned = [-row for row in int8.outputs(workspace.model, encoded, "classification")]
    monkeypatch.setattr(int8, "session_outputs", lambda session, encoded: turned)
    with pytest.raises(NoEffect, match="OpenVINO int8"):
        Int8(max_length=32).apply(workspace)


def test_a_layer_can_be_kept_in_float(workspace: Workspace) -> None:
    name = "bert.encoder.layer.1.output.dense"
    done = Int8(scales="own", texts=4, max_length=32, modules_to_not_convert=(name,)).apply(
        workspace
    )
    assert done.saved is not None
    session = OpenVinoSession(graph_file(done.saved, "openvino", "int8"), "int8")
    counts = executed_precision(session.compiled)
    assert counts["f32"] == 1
    assert sum(counts.values()) > 18
    with pytest.raises(ValueError, match="modules_to_not_convert: no layer is named nonsense"):
        Int8(scales="own", texts=4, max_length=32, modules_to_not_convert=("nonsense",)).apply(
            workspace
        )


def test_layers_go_back_to_float_until_the_quality_holds(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quality is made up: it holds with three layers in floating point, and not with two."""
    qualities = {0: 0.5, 1: 0.6, 2: 0.7, 3: 0.9, 4: 0.9}
    exports: list[int] = []
    export = int8.export_openvino

    def counted(*args: Any, modules_to_not_convert: Any, **settings: Any) -> Any:
        exports.append(len(modules_to_not_convert))
        if 1 < len(exports) < 6:  # the first graph stands for these: their quality is made up
            return []
        return export(*args, modules_to_not_convert=modules_to_not_convert, **settings)

    monkeypatch.setattr(int8, "export_openvino", counted)
    made_up = iter([1.0])  # of the float model
    monkeypatch.setattr(
        float_layers, "quality", lambda *_: next(made_up, None) or qualities[exports[-1]]
    )
    done = Int8(scales="own", texts=4, max_length=32, keep=0.8).apply(workspace)
    assert exports == [0, 1, 2, 4, 3, 3]
    first, *tried = read(workspace.record.path)
    worst = [row["layer"] for row in first["rows"]]
    assert [event["layers"] for event in tried] == [worst[:k] for k in exports[:-1]]
    assert [event["quality"] for event in tried] == [qualities[k] for k in exports[:-1]]
    assert done.saved is not None
    session = OpenVinoSession(graph_file(done.saved, "openvino", "int8"), "int8")
    assert executed_precision(session.compiled)["f32"] == 3


def test_a_quality_that_cannot_be_had_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = iter([1.0])
    monkeypatch.setattr(float_layers, "quality", lambda *_: next(made_up, 0.1))
    monkeypatch.setattr(int8.Int8, "_export", lambda *_: [])
    monkeypatch.setattr(int8, "OpenVinoSession", lambda *_: None)
    monkeypatch.setattr(int8, "session_outputs", lambda *_: [])
    with pytest.raises(NoEffect, match=r"keep: with all but one of 20 layers .* reach 0\.9000"):
        Int8(texts=4, max_length=32, keep=0.9).apply(workspace)


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValueError, match=r"keep: 1\.2 is not above 0 and at most 1"):
        Int8(keep=1.2)
    with pytest.raises(ValueError, match="modules_to_not_convert: keep finds the layers"):
        Int8(keep=0.99, modules_to_not_convert=("a",))
    with pytest.raises(
        ValueError, match="scales: ranges, smooth and correct_bias are settings of our own"
    ):
        Int8(correct_bias=True)
