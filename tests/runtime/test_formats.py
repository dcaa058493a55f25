"""Served folders as the ecosystem reads them, and those of format 1, which still open."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_samples import LABELS, TEXTS, calibration_of, plain_folder

import leanformer
from leanformer.measure.size import served_size
from leanformer.runtime.backends import find_backend, graph_file
from leanformer.runtime.manifest import NAME, format_of, read_manifest, write_manifest
from leanformer.runtime.race import race

OLD = {
    ("openvino", "fp32"): "openvino/fp32/model.xml",
    ("openvino", "int8"): "openvino/int8/model.xml",
    ("onnxruntime", "fp32"): "onnx/fp32/model.onnx",
}
NAMES = {
    ("openvino", "fp32"): "openvino/openvino_model.xml",
    ("openvino", "bf16"): "openvino/openvino_model_bf16.xml",
    ("openvino", "int8"): "openvino/openvino_model_qint8_quantized.xml",
    ("onnxruntime", "fp32"): "onnx/model.onnx",
    ("onnxruntime", "int8"): "onnx/model_qint8_quantized.onnx",
    ("pytorch", "fp32"): "model.safetensors",
}


def export(folder: Path, kind: Any = "classification") -> None:
    """A served folder with three graphs."""
    model, tokenizer = plain_folder(folder, kind, LABELS if kind == "classification" else ())
    for backend, precision in OLD:
        find_backend(backend).export(
            model, kind, folder, precision=precision, calibration=calibration_of(tokenizer)
        )
    write_manifest(folder, read_manifest(folder))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    export(folder)
    return folder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedder") / "model"
    export(folder, "embedding")
    return folder


@pytest.fixture
def format_1(served: Path, tmp_path: Path) -> Path:
    """The same folder as format 1 had it: folders for precisions, one output called "output"."""
    import onnx
    import openvino

    folder = tmp_path / "old"
    folder.mkdir()
    for file in served.iterdir():
        if file.is_file() and file.name != NAME:
            (folder / file.name).write_bytes(file.read_bytes())
    for one, old in OLD.items():
        place = folder / old
        place.parent.mkdir(parents=True)
        graph = graph_file(served, *one)
        if one[0] == "openvino":
            model = openvino.Core().read_model(graph)
            model.outputs[0].get_tensor().set_names({"output"})
            openvino.save_model(model, place, compress_to_fp16=False)
        else:
            made = onnx.load(graph)
            (output,) = made.graph.output
            for node in made.graph.node:
                node.output[:] = ["output" if n == output.name else n for n in node.output]
            output.name = "output"
            onnx.save(made, place)
    manifest = write_manifest(folder, read_manifest(served))
    fields = json.loads((folder / NAME).read_text())
    del fields["system"], fields["checksum"]  # format 1 knew transformers only
    (folder / NAME).write_text(json.dumps({**fields, "format": 1}))
    assert len(manifest.files) == len([p for p in folder.rglob("*") if p.is_file()]) - 1
    return folder


@pytest.mark.parametrize(("form", "name"), NAMES.items())
def test_graphs_are_called_as_the_ecosystem_calls_them(form: tuple[str, str], name: str) -> None:
    assert find_backend(form[0]).graph_file(form[1]) == name


@pytest.mark.parametrize("form", [*OLD, ("pytorch", "fp32")])
def test_a_folder_of_format_1_answers_as_before(
    form: tuple[str, str], format_1: Path, served: Path
) -> None:
    ours = leanformer.load(format_1, form[0], precision=form[1], threads=1).answer(TEXTS)
    theirs = leanformer.load(served, form[0], precision=form[1], threads=1).answer(TEXTS)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    bytes_ = served_size(format_1, *form).value
    assert abs(bytes_ - served_size(served, *form).value) < 4096


def test_a_folder_of_format_1_stays_what_it_is(format_1: Path, served: Path) -> None:
    assert read_manifest(format_1).format == format_of(format_1) == 1
    assert (read_manifest(format_1).system, read_manifest(served).format) == ("transformer", 3)
    assert format_of(served) == 3
    rows = race(format_1, TEXTS, candidates=[("openvino", "fp32")], rounds=1, threads=1)
    assert rows[0].agreement == 1.0
    assert read_manifest(format_1).format == 1
    leanformer.load(format_1, threads=1)


def test_openvino_finds_logits_in_openvino_model_xml(served: Path) -> None:
    import openvino

    compiled = openvino.Core().compile_model(served / "openvino" / "openvino_model.xml", "CPU")
    ids = np.array([[2, 7, 8, 3]])
    (output,) = compiled.outputs
    assert output.get_names() == {"logits"}
    assert [port.get_any_name() for port in compiled.inputs] == ["input_ids", "attention_mask"]
    assert compiled({"input_ids": ids, "attention_mask": np.ones_like(ids)})["logits"].shape == (
        1,
        3,
    )


def test_onnxruntime_finds_logits_in_model_onnx(served: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(served / "onnx" / "model.onnx")
    assert [port.name for port in session.get_outputs()] == ["logits"]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_vectors_and_hidden_states_are_both_outputs_of_an_embedding_model(
    backend: str, embedder: Path
) -> None:
    """sentence-transformers' backends read `last_hidden_state` and pool it by modules.json."""
    import onnxruntime
    import openvino

    ids = np.array([[2, 7, 8, 3], [2, 9, 3, 0]])
    feeds = {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
    path = graph_file(embedder, backend, "fp32")
    if backend == "openvino":
        found = openvino.Core().compile_model(path, "CPU")(feeds)
        hidden, vectors = found["last_hidden_state"], found["sentence_embedding"]
    else:
        session = onnxruntime.InferenceSession(path)
        hidden, vectors = session.run(["last_hidden_state", "sentence_embedding"], feeds)
    mask = feeds["attention_mask"][..., None]
    mean = (hidden * mask).sum(1) / mask.sum(1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, mean, atol=1e-2 if backend == "openvino" else 1e-5)


@pytest.mark.parametrize(
    ("backend", "target", "pattern"),
    [("OpenVINO", "openvino_model.xml", "openvino*.xml"), ("ONNX", "model.onnx", "*.onnx")],
)
def test_sentence_transformers_loads_the_graph_and_does_not_export_anew(
    backend: str, target: str, pattern: str, embedder: Path
) -> None:
    from sentence_transformers.backend.utils import backend_should_export

    export, found = backend_should_export(embedder, True, {}, target, pattern, backend)
    assert not export
    assert (embedder / found["subfolder"] / found["file_name"]).is_file()


def test_a_graph_that_is_there_is_not_overwritten_unasked(served: Path) -> None:
    from leanformer.models.tiny import tiny_model

    model, tokenizer = tiny_model("bert")
    with pytest.raises(FileExistsError, match=r"openvino_model.xml exists; name another folder"):
        find_backend("openvino").export(
            model, "classification", served, precision="fp32", calibration=calibration_of(tokenizer)
        )
