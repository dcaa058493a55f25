from pathlib import Path

import numpy as np
import pytest
import torch
from runtime_samples import LABELS, calibration_of
from transformers import AutoModelForSequenceClassification

from leanformer.core.machine.child import ChildFailed, PassingFault
from leanformer.data.task import Task
from leanformer.models.tiny import tiny_model
from leanformer.runtime.backends import graph_file
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.export import export_folder
from leanformer.runtime.manifest import read_manifest
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.proofs.agreement import agreement
from leanformer.runtime.serving.predictor import load
from leanformer.runtime.torch_backend import TorchSession


def test_a_model_becomes_a_folder_that_answers_like_it(tmp_path, texts):
    pytest.importorskip("openvino", reason="needs openvino")
    model, tokenizer = tiny_model("bert")
    task = Task(kind="classification", labels=LABELS)
    folder = tmp_path / "served"
    rows, _ = export_folder(
        model,
        tokenizer,
        task,
        folder,
        calibration_of(tokenizer),
        candidates=[("openvino", "fp32"), ("onnxruntime", "bf16")],
        threads=1,
    )
    by_name = {(r.backend, r.precision): r for r in rows}
    assert "could not be exported" in by_name["onnxruntime", "bf16"].reason
    assert by_name["openvino", "fp32"].agreement == 1
    winner = next(r for r in rows if r.chosen)
    manifest = read_manifest(folder)
    assert (manifest.backend, manifest.precision) == (winner.backend, winner.precision)
    assert len(manifest.race) == len(rows)
    predictor = load(folder, threads=1)
    session = TorchSession(model, "classification", threads=1)
    exact = [session.run(**a)[0] for a in calibration_of(tokenizer).arrays(session.inputs)]
    assert agreement("classification", exact, predictor.answer(texts)) == 1
    left = graph_file(folder, "openvino", "fp32").exists()
    assert left == (winner.backend == "openvino")


def test_a_graph_that_was_made_is_served_as_it_is(tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="needs openvino")
    model, tokenizer = tiny_model("bert")
    task, fast = Task(kind="classification", labels=LABELS), ("openvino", "fp32")
    made = tmp_path / "made"
    export_openvino(model, "classification", made)
    (made / "openvino_model.mark").write_text("this one")
    monkeypatch.setattr("leanformer.runtime.openvino.export.export_openvino", None)
    folder = tmp_path / "served"
    rows, proofs = export_folder(
        model,
        tokenizer,
        task,
        folder,
        calibration_of(tokenizer),
        candidates=[fast],
        made={fast: made / "openvino_model.xml"},
        threads=1,
        least_agreement=0.0,
    )
    assert not proofs
    winner = next(row for row in rows if row.chosen)
    assert graph_file(folder, *fast).with_suffix(".mark").is_file() == (
        winner.backend == "openvino"
    )
    assert {row.agreement for row in rows if row.backend == "openvino"} == {1.0}


def test_an_existing_folder_is_kept(tmp_path):
    model, tokenizer = tiny_model("bert")
    (tmp_path / "note").write_text("mine")
    task = Task(kind="classification", labels=LABELS)
    with pytest.raises(FileExistsError):
        export_folder(model, tokenizer, task, tmp_path, calibration_of(tokenizer))


def test_calibration_needs_texts_and_as_many_pairs():
    with pytest.raises(ValueError, match="calibration: no texts"):
        Calibration(tokenizer=None, texts=[])
    with pytest.raises(ValueError, match="pairs: 1 for 2 texts; give as many"):
        Calibration(tokenizer=None, texts=["a", "b"], pairs=["c"])
    given = Calibration(tokenizer=None, texts=(text for text in "ab"), pairs=iter("cd"))
    assert (given.texts, given.pairs) == (["a", "b"], ["c", "d"])


def test_a_candidate_that_kills_its_process_is_skipped_with_its_reason(tmp_path, monkeypatch):
    def dies(*_, **__):
        raise ChildFailed("crashed with SIGFPE")

    monkeypatch.setattr("leanformer.runtime.openvino.export.call_in_child", dies)
    model, tokenizer = tiny_model("bert")
    task = Task(kind="classification", labels=LABELS)
    rows, _ = export_folder(
        model, tokenizer, task, tmp_path / "x", calibration_of(tokenizer),
        candidates=[("openvino", "bf16")], threads=1,
    )  # fmt: skip
    assert rows[-1].reason == "could not be exported: OpenVINO bf16: crashed with SIGFPE"
    assert load(tmp_path / "x", threads=1).manifest.backend == "pytorch"


def test_a_fault_that_passes_ends_the_export(tmp_path, monkeypatch):
    def none(*_, **__):
        raise PassingFault("no memory")

    monkeypatch.setattr("leanformer.runtime.openvino.export.call_in_child", none)
    model, tokenizer = tiny_model("bert")
    task = Task(kind="classification", labels=LABELS)
    with pytest.raises(PassingFault):
        export_folder(
            model, tokenizer, task, tmp_path / "x", calibration_of(tokenizer),
            candidates=[("openvino", "bf16")], threads=1,
        )  # fmt: skip


def test_pytorch_in_bf16_keeps_rotary_frequencies(tmp_path: Path) -> None:
    """As transformers has the model that it loads in bf16."""
    model, tokenizer = tiny_model("llama", max_position_embeddings=1024)
    model.save_pretrained(tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, len(tokenizer), (2, 1024), generator=generator)
    arrays = (ids.numpy(), torch.ones_like(ids).numpy())
    found = TorchSession(model, "classification", "bf16", threads=1).answer(arrays)
    with torch.no_grad():
        expected = theirs.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    assert np.array_equal(found, expected.float().numpy())
    assert next(model.parameters()).dtype == torch.float32
