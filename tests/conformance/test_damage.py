"""Every file that is read back, damaged in every way: it is refused by name, or does no harm."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conformance.damage import Kind, try_all
from conformance.retrieval import found_rows, indexed, scored, searched, stored
from runtime_samples import LABELS, TEXTS, calibration_of, plain_folder, uneven
from torch import Tensor

import leanformer
from leanformer.attention import SlidingWindow
from leanformer.attention.hf.attach import attach
from leanformer.core.record import Record, read
from leanformer.data import Examples, Task, encode_examples
from leanformer.data.corpus import Corpus, open_prepared, prepare
from leanformer.distill.ngrams import fit_ngrams
from leanformer.distill.objective import Outputs
from leanformer.distill.teachers.teacher_cache import TeacherCache
from leanformer.measure.tfidf import fit_tfidf
from leanformer.models.io.load import load_model
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.lean.per_layer_shapes import describe
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS as TINY_TEXTS
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.prune.sparse.sparse_weights import encode_sparse, sparse_layers
from leanformer.quantize.packed import codes_of_layers, hold
from leanformer.quantize.quantizers import Uniform
from leanformer.quantize.swap import swap
from leanformer.runtime.backends import find_backend
from leanformer.runtime.manifest import read_manifest, write_manifest
from leanformer.runtime.systems.cascade import save_cascade
from leanformer.train.checkpoints import checkpoint

TOKENIZER = tiny_tokenizer("bert")
ROWS = {"input_ids": torch.tensor([[2, 7, 8, 9, 3], [2, 12, 3, 0, 0]])}
ROWS["attention_mask"] = (ROWS["input_ids"] > 0).long()


def said(model: Any) -> np.ndarray:
    with torch.no_grad():
        values: np.ndarray = model(**ROWS)[0].numpy()
    return values


def answers(folder: Path, head: Any = "classification") -> Any:
    model, tokenizer = load_model(folder, head)
    return said(model), tokenizer(list(TEXTS))["input_ids"], tokenizer.model_max_length


def auto(folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification

    with quiet():
        return said(AutoModelForSequenceClassification.from_pretrained(folder))


def made(change: Any = None, **settings: Any) -> Any:
    def make(folder: Path) -> None:
        model, tokenizer = tiny_model("bert", **settings)
        if change is not None:
            model = change(model) or model
        save_model(model, tokenizer, folder)

    return make


def own(change: Any = None, **settings: Any) -> Any:
    """Without a list of its parts."""

    def make(folder: Path) -> None:
        made(change, **settings)(folder)
        (folder / "parts.json").unlink()

    return make


def latent(model: Any) -> None:
    swap(model, {"bert.encoder.layer.0.output.dense": Uniform(bits=4)})


def packed(model: Any) -> None:
    latent(model)
    hold(model, codes_of_layers(model))


def sparse(model: Any) -> None:
    weight = model.bert.encoder.layer[0].output.dense.weight.data
    weight[weight.abs() < weight.abs().median()] = 0
    encode_sparse(model, sparse_layers(model))


def lean(model: Any) -> Any:
    other, _ = uneven()
    describe(other)
    return other


def attending(model: Any) -> None:
    attach(model, SlidingWindow(left=3, right=0), layers=[1])


def served(folder: Path) -> Any:
    predictor = leanformer.load(folder, threads=1)
    return np.asarray(predictor.answer(list(TEXTS))), str(predictor.predict(list(TEXTS)))


def with_graph(backend: str) -> Any:
    def make(folder: Path) -> None:
        from dataclasses import replace

        model, tokenizer = plain_folder(folder)
        find_backend(backend).export(
            model,
            "classification",
            folder,
            precision="fp32",
            calibration=calibration_of(tokenizer),
        )
        write_manifest(folder, replace(read_manifest(folder), backend=backend))

    return make


def ngrams(folder: Path) -> None:
    examples = Examples(texts=list(TEXTS), labels=[0, 1, 2, 0, 1, 2])
    fit_tfidf(examples, Task(kind="classification", labels=LABELS)).save(folder)


def cascaded(folder: Path) -> None:
    """Two parts of n-grams, which are read and damaged quickly."""
    parts = folder.parent / "parts"
    for name, texts in (("cheap", TEXTS), ("dear", TEXTS[::-1])):
        examples = Examples(texts=list(texts), labels=[0, 1, 2, 0, 1, 2])
        system = fit_tfidf(examples, Task(kind="classification", labels=LABELS))
        system.save(parts / name, overwrite=True)
    save_cascade(
        folder,
        parts / "cheap",
        parts / "dear",
        gate="margin",
        threshold=0.45,
        deferred=3,
        texts=6,
    )


def hashed_ngrams(folder: Path) -> None:
    examples = Examples(texts=list(TEXTS), labels=[0, 1, 2, 0, 1, 2])
    fit_ngrams(examples, Task(kind="classification", labels=LABELS)).save(folder)


STATE = {"steps": 3, "losses": [0.5, 0.25], "identity": {"texts": "9f"}}


def training(folder: Path) -> None:
    groups = {"model": {"w": torch.arange(6.0)}, "optimizer": {"w.exp_avg": torch.ones(2, 3)}}
    checkpoint.save(folder, groups, STATE)


def resumed(folder: Path) -> Any:
    found = checkpoint.load(folder)
    if found is None:
        return None
    groups, state = found
    return {n: {k: t.numpy() for k, t in g.items()} for n, g in groups.items()}, state


class Teacher:
    """Its outputs are a function of the text: what a cache gives must be these."""

    def __init__(self) -> None:
        _, self.tokenizer = tiny_model("bert")
        examples = Examples(texts=list(TEXTS), labels=[0, 1, 2, 0, 1, 2])
        self.encoded = encode_examples(examples, self.tokenizer, "classification", 16)

    def open(self, folder: Path) -> TeacherCache:
        lengths = [self.encoded.length(index) for index in range(len(self.encoded))]
        return TeacherCache(folder, "k", lengths, width=3, per_token=False, hidden=(2, 8))

    def outputs(self, batch: Any) -> Outputs:
        ids = batch.inputs["input_ids"].float()
        level = (ids.unsqueeze(-1) + 1).sin().expand(*ids.shape, 8).contiguous()
        logits = torch.stack([ids.sum(1).sin(), ids.sum(1).cos(), ids[:, 1].sin()], 1)
        return Outputs(logits, (level, level.cos()), batch.inputs["attention_mask"].bool())

    def fill(self, folder: Path) -> None:
        cache = self.open(folder)
        for rows in ([0, 3], [1, 4], [2, 5]):
            batch = self.encoded.batch(rows)
            cache.write(batch, self.outputs(batch))
        cache.flush()

    def read(self, folder: Path) -> Any:
        cache, found = self.open(folder), []
        for rows in ([0, 1, 2], [3, 4, 5]):
            batch = self.encoded.batch(rows)
            given = cache.read(batch) or cache.write(batch, self.outputs(batch))
            real = batch.inputs["attention_mask"].bool()
            found.append([_bits(given.logits), *[_bits(one[real]) for one in given.hidden]])
        return found


def _bits(values: Tensor) -> np.ndarray:
    bits: np.ndarray = values.contiguous().view(torch.int16).numpy()
    return bits


TEACHER = Teacher()


def recorded(folder: Path) -> None:
    record = Record(folder / "record.jsonl")
    for number in range(4):
        record.write("model", name=f"m{number}", quality={"dev": number / 7, "test": None})


def corpus(folder: Path) -> None:
    """A corpus, and the plan of its rows."""
    texts = folder.with_name("texts.txt")
    texts.write_text("\n".join([*TEXTS, *TINY_TEXTS]))
    corpus = Corpus(paths=(str(texts),), held_out=0.3)
    prepare(corpus, TOKENIZER, folder, kind="masked-lm", max_length=24)


def rows_of(folder: Path) -> Any:
    prepared = open_prepared(folder, TOKENIZER, max_length=24)
    prepared.check()
    inputs = prepared.rows.batch(np.arange(len(prepared.rows))).inputs
    held_out = [row["input_ids"] for row in prepared.held_out().rows]
    return {name: tensor.numpy() for name, tensor in inputs.items()}, held_out


FORM = "config.json:quantization_config"
FOLDERS = {
    "model": Kind(made(), answers),
    "embedding": Kind(made(head="embedding"), lambda folder: answers(folder, "embedding")),
    "lean": Kind(made(lean), answers),
    "packed": Kind(made(packed), answers),
    "packed-auto": Kind(made(packed), auto, foreign=True),
    "sparse": Kind(made(sparse), answers),
    "sparse-auto": Kind(made(sparse), auto, foreign=True),
    "latent": Kind(made(latent), answers),
    "attention": Kind(made(attending), answers),
    "attention-auto": Kind(made(attending), auto, foreign=True),
    "own-model": Kind(own(), answers, ("config.json",), own=True),
    "own-lean": Kind(own(lean), answers, ("config.json:lean",), own=True),
    "own-packed": Kind(own(packed), answers, (FORM,), own=True),
    "own-sparse": Kind(own(sparse), answers, (FORM,), own=True),
    "own-latent": Kind(own(latent), answers, (FORM,), own=True),
    # heads that are not the model's are refused by the first call, which knows of no file
    "own-attention": Kind(own(attending), answers, (FORM,), own=True, but=".heads"),
    "served": Kind(plain_folder, served, ("leanformer.json",)),
    "openvino": Kind(with_graph("openvino"), served),
    "onnxruntime": Kind(with_graph("onnxruntime"), served),
    "ngrams": Kind(ngrams, served, ("leanformer.json", "ngrams.json")),
    "cascade": Kind(
        cascaded,
        served,
        ("leanformer.json", "cascade.json", "first/leanformer.json", "second/ngrams.json"),
    ),
    "hashed-ngrams": Kind(hashed_ngrams, served, ("leanformer.json", "hashed-ngrams.json")),
    "checkpoint": Kind(training, resumed, ("state.json", "parts.json")),
    "teacher": Kind(TEACHER.fill, TEACHER.read, ("outputs.json",)),
    "corpus": Kind(corpus, rows_of, ("tokens.json",)),
    "store": Kind(stored, found_rows, ("manifest.json",)),
    "index": Kind(indexed, searched, ("index/index.json", "index/parts.json")),
    "scores": Kind(scored, scored),
    "record": Kind(recorded, lambda folder: read(folder / "record.jsonl"), begins=True),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_no_damage_goes_unseen_or_ends_in_a_traceback(name: str, tmp_path: Path) -> None:
    if name in ("openvino", "onnxruntime", "index"):
        pytest.importorskip("faiss" if name == "index" else name)
    found = try_all(FOLDERS[name], tmp_path / "whole", tmp_path / "copy")
    print(name, dict(found.counts))
    assert not found.faults, "\n".join(found.faults)
    assert found.counts["refused"] or found.counts["same"]
