"""Encoders and cross-encoders of the benchmarks of embeddings, as functions of texts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rivals_sets import ROOT

from leanformer.core.machine.processor import multiplies_bf16
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.retrieve.embed import open_encoder
from leanformer.runtime.calibration import Calibration
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.runtime.onnx.export import export_onnx
from leanformer.runtime.openvino.export import export_openvino
from leanformer.runtime.serving.predictor import load

Encode = Callable[[Sequence[str]], np.ndarray]
Score = Callable[[Sequence[str], Sequence[str]], Any]
EXPORTS = (
    ("openvino", "int8"),
    ("openvino", "fp32"),
    ("onnxruntime", "int8"),
    ("onnxruntime", "fp32"),
)
PLACE = ROOT / "runs" / "embedding"
STUDENT = "student"


def halves() -> list[str]:
    """bf16, where this processor multiplies it."""
    return ["bf16"] if multiplies_bf16() else []


def encoders(
    model: str, texts: list[str], place: Path, *, exports: Any = EXPORTS
) -> dict[str, Encode]:
    """A model of sentence-transformers as its users run it on a CPU, by the name of the system.

    Args:
        model: Its folder.
        texts: Which int8 is calibrated on.
        place: Where it is exported to, once.
        exports: Backends and precisions of the exports.
    """
    found = {
        f"sentence-transformers {p}": _sentence_transformer(model, p) for p in ["fp32", *halves()]
    }
    for precision in ["fp32", *halves()]:
        found[f"leanformer pytorch {precision}"] = open_encoder(model, precision=precision).encode
    exports = (*exports, *(("openvino", precision) for precision in halves()))
    export(model, "embedding", place, texts, exports)
    for backend, precision in exports:
        encoder = open_encoder(place, backend=backend, precision=precision)
        found[f"leanformer {backend} {precision}"] = encoder.encode
    return found


def students(folder: Path, texts: list[str], place: Path) -> dict[str, Encode]:
    """A compressed encoder in OpenVINO, by the name of the system: in int8, and in bf16 where the
    processor multiplies it; or as a folder that leanformer exported says.

    Args:
        folder: The folder of an embedding model, or an exported one.
        texts: Which int8 is calibrated on.
        place: Where it is exported to, once.
    """
    if (folder / "leanformer.json").is_file():
        return {STUDENT: open_encoder(folder).encode}
    precisions = ["int8", *(halves() or ["fp32"])]
    export(str(folder), "embedding", place, texts, [("openvino", one) for one in precisions])
    return {
        f"{STUDENT} openvino {one}": open_encoder(place, backend="openvino", precision=one).encode
        for one in precisions
    }


def fast_encoder(model: str, texts: list[str], place: Path = PLACE / "bi-encoder") -> Encode:
    """An embedding model in OpenVINO: in bf16 where the processor multiplies it, else in fp32."""
    precision: Any = [*halves(), "fp32"][0]
    export(model, "embedding", place, texts, (("openvino", precision),))
    return open_encoder(place, backend="openvino", precision=precision).encode


def export(model: str, kind: str, place: Path, texts: list[str], exports: Any = EXPORTS) -> None:
    """Export a model once, with all its graphs in one folder; a ranking head is new and random.

    Speed does not depend on what a head has learned.
    """
    if (place / "leanformer.json").is_file():
        return
    pairs = kind == "ranking"
    head = "classification" if pairs else "embedding"
    loaded, tokenizer = load_model(model, head, **({"num_labels": 1} if pairs else {}))
    save_model(loaded, tokenizer, place, overwrite=True)
    limit = min(tokenizer.model_max_length, 256)
    second = texts if pairs else None
    calibration = Calibration(tokenizer=tokenizer, texts=texts, pairs=second, max_length=limit)
    for backend, precision in exports:
        if backend == "openvino":
            export_openvino(
                loaded,
                kind,
                place / backend,
                precision=precision,
                pairs=pairs,
                calibration=calibration,
            )
        else:
            export_onnx(loaded, kind, place / "onnx", precision=precision, pairs=pairs)
    write_manifest(place, Manifest(kind=kind, max_length=limit, pairs=pairs, backend=exports[0][0]))


def cross_encoders(model: str, texts: list[str], place: Path) -> dict[str, Score]:
    """Cross-encoders of the model's shape: sentence-transformers' class, and our OpenVINO."""
    from sentence_transformers import CrossEncoder

    precision: Any = [*halves(), "fp32"][0]
    export(model, "ranking", place, texts, (("openvino", precision),))
    theirs = CrossEncoder(str(place), device="cpu")
    ours = load(place, "openvino", precision=precision)

    def score(first: Sequence[str], second: Sequence[str]) -> Any:
        return theirs.predict(list(zip(first, second, strict=True)), show_progress_bar=False)

    return {"sentence-transformers": score, "leanformer": ours.predict}


def _sentence_transformer(model: str, precision: str) -> Encode:
    from sentence_transformers import SentenceTransformer

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    loaded = SentenceTransformer(model, device="cpu", model_kwargs={"dtype": dtype})

    def encode(texts: Sequence[str]) -> np.ndarray:
        found = loaded.encode(list(texts), show_progress_bar=False, convert_to_tensor=True)
        return found.float().numpy()  # type: ignore[no-any-return]

    return encode
