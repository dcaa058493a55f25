"""The exported graphs hold the model's own pooling, whatever is padded beside it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_samples import TEXTS, calibration_of, outputs

import leanformer
from leanformer.data import Examples, Task, encode_examples
from leanformer.measure.quality import session_outputs
from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.load import load_model
from leanformer.models.io.read_modules import TRANSFORMER
from leanformer.models.tiny import tiny_model
from leanformer.numerics.metrics import cosine, length_ratio
from leanformer.numerics.pooling import MODES, Pooling
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.export import export_folder
from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.manifest import read_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.onnx.session import OnnxSession
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.openvino.session import OpenVinoSession, openvino_file

LONG = " ".join(TEXTS * 12)
TASK = Task(kind="embedding")


def described(mode: Any, **fields: Any) -> tuple[Any, Any]:
    """A model that reads 400 tokens, so that positions past 256 are told apart or not."""
    model, tokenizer = tiny_model("bert", head="embedding", max_position_embeddings=400)
    tokenizer.model_max_length = 400
    pooling = Pooling(mode=mode, normalize=False)
    describe_embedding(model, tokenizer, Embedding(pooling=pooling, **fields))
    return model, tokenizer


def expected(model: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    calibration = Calibration(tokenizer=tokenizer, texts=texts, max_length=400)
    return np.stack(outputs(InferenceGraph(model, "embedding"), calibration))


def said(session: Any, tokenizer: Any, texts: list[str]) -> np.ndarray:
    """In one batch, so that short texts are padded to the longest."""
    encoded = encode_examples(Examples(texts=texts), tokenizer, "embedding", 400)
    return np.stack(session_outputs(session, encoded))


@pytest.mark.parametrize("mode", MODES)
def test_openvino_pools_as_the_model_says(mode: Any, tmp_path: Path) -> None:
    model, tokenizer = described(mode)
    texts = [*TEXTS, LONG]
    truth = expected(model, tokenizer, texts)
    calibration = calibration_of(tokenizer, texts)
    rounded = mode in ("cls", "weightedmean")  # pooling is not rounded, and calibrating takes long
    for precision in ("fp32", "int8") if rounded else ("fp32",):
        export_openvino(
            model, "embedding", tmp_path / precision, precision=precision, calibration=calibration
        )  # fmt: skip
    for stored, run, tolerance in (
        ("fp32", "fp32", 1e-5),
        ("fp32", "bf16", 0.02),
        ("int8", "int8", 0.05),
    )[: 3 if rounded else 2]:
        session = OpenVinoSession(tmp_path / stored / openvino_file(stored), run, threads=1)  # type: ignore[arg-type]
        found = said(session, tokenizer, texts)
        for ours, theirs in zip(found[:, None], truth[:, None], strict=True):
            assert cosine(ours, theirs) > 1 - tolerance
            assert abs(length_ratio(ours, theirs) - 1) < tolerance


@pytest.mark.parametrize("mode", MODES)
def test_onnx_pools_as_the_model_says(mode: Any, tmp_path: Path) -> None:
    model, tokenizer = described(mode)
    export_onnx(model, "embedding", tmp_path / "x")
    session = OnnxSession(tmp_path / "x" / "model.onnx", "fp32", threads=1)
    texts = [*TEXTS, LONG]
    found = said(session, tokenizer, texts)
    np.testing.assert_allclose(found, expected(model, tokenizer, texts), atol=1e-3)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """An exported CLS model with a prompt that is calibrated and served on 20 tokens."""
    model, tokenizer = described(
        "cls", prompts={"query": "where is ", "other": "how "}, default_prompt_name="query"
    )
    folder = tmp_path_factory.mktemp("served") / "m"
    calibration = Calibration(tokenizer=tokenizer, texts=TEXTS, max_length=20)
    export_folder(
        model, tokenizer, TASK, folder, calibration, candidates=[("openvino", "fp32")], threads=1
    )
    return folder, model, tokenizer


def test_what_is_served_is_what_sentence_transformers_says(served: tuple[Path, Any, Any]) -> None:
    from sentence_transformers import SentenceTransformer

    folder, _, _ = served
    texts = [*TEXTS, LONG]
    theirs = np.asarray(SentenceTransformer(str(folder), device="cpu").encode(texts))
    exact = leanformer.load(folder, "pytorch", threads=1, precision="fp32").encode(texts)
    lengths = np.linalg.norm(theirs, axis=1)
    np.testing.assert_array_less(np.linalg.norm(exact - theirs, axis=1), 1e-5 * lengths)
    winner = leanformer.load(folder, threads=1).encode(texts)
    assert cosine(winner, theirs) > 0.999
    assert abs(length_ratio(winner, theirs) - 1) < 0.01


def test_the_length_that_is_served_is_the_one_that_the_files_say(
    served: tuple[Path, Any, Any],
) -> None:
    folder, _, tokenizer = served
    assert read_manifest(folder).max_length == 20
    assert json.loads((folder / TRANSFORMER[0]).read_text())["max_seq_length"] == 20
    assert load_model(folder, "embedding")[1].model_max_length == 20
    assert tokenizer.model_max_length == 400


def test_calibration_reads_no_more_than_the_tokenizer_does() -> None:
    _, tokenizer = described("mean", prompts={"q": "where is "}, default_prompt_name="q")
    tokenizer.model_max_length = 12
    calibration = Calibration(tokenizer=tokenizer, texts=["the film", LONG], max_length=50)
    first, second = (row["input_ids"][0].tolist() for row in calibration.arrays(["input_ids"]))
    assert first == tokenizer("where is the film")["input_ids"]
    assert len(second) == 12


def test_a_pooling_that_was_changed_after_the_export_is_refused(
    served: tuple[Path, Any, Any],
) -> None:
    folder, _, _ = served
    file = folder / "1_Pooling" / "config.json"
    kept = file.read_text()
    file.write_text(kept.replace("true", "false"))
    try:
        with pytest.raises(ValueError, match=r"1_Pooling/config.json is damaged: its checksum"):
            leanformer.load(folder, "pytorch", precision="fp32")
    finally:
        file.write_text(kept)
