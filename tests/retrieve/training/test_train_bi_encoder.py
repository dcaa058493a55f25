import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from retrieve.training.pairs import encoder, related, write_pairs
from sentence_transformers import SentenceTransformer

import leanformer
from leanformer.core.codec import decode
from leanformer.core.proof import NoEffect
from leanformer.core.record import Record
from leanformer.core.step import Sketch
from leanformer.core.workspace import Workspace
from leanformer.data import Dataset, Examples, Task
from leanformer.models.embedding import embedding_of
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.recipe import Recipe, run
from leanformer.retrieve.objectives import (
    CosineScore,
    InBatchNegatives,
    MarginMse,
    Matryoshka,
    PairClassification,
    Triplet,
)
from leanformer.retrieve.training.train_bi_encoder import TrainBiEncoder
from leanformer.runtime.manifest import Manifest, write_manifest
from leanformer.serve import Settings, open_served
from leanformer.train import TrainSetup

FAST = TrainSetup(
    epochs=6, batch_size=8, learning_rate=3e-3, precision="fp32", checkpoint_seconds=0
)


def workspace(folder: Path, negatives: int = 0, **more: Any) -> Workspace:
    model, tokenizer = encoder(seed=1)
    relations = related(negatives, **more)
    examples = Examples(texts=list(relations.anchors), relations=relations)
    dataset = Dataset(
        name="pairs", task=Task(kind="embedding"), train=examples, dev=examples, test=examples
    )
    return Workspace(
        name="student",
        model=model,
        tokenizer=tokenizer,
        dataset=dataset,
        folder=folder,
        record=Record(folder / "record.jsonl"),
    )


LABELED = {
    "cosine-score": (CosineScore(), tuple(str(row % 6) for row in range(24)), "spearman"),
    "classes": (PairClassification(), tuple("abc"[row % 3] for row in range(24)), "accuracy"),
}


@pytest.mark.parametrize("name", LABELED)
def test_pairs_with_labels_are_learned(tmp_path: Path, name: str) -> None:
    objective, labels, quality = LABELED[name]
    done = TrainBiEncoder(objective=objective, train=FAST).apply(workspace(tmp_path, labels=labels))
    (proof,) = done.proofs
    assert proof.claim == f"{quality} on dev"
    assert proof.after > proof.before
    assert proof.note.startswith("24 tuples of 48 different texts, 0 cut")


@pytest.mark.parametrize("objective", [InBatchNegatives(), Triplet(), Matryoshka(widths=(8,))])
def test_texts_that_belong_together_are_found(tmp_path: Path, objective: Any) -> None:
    done = TrainBiEncoder(objective=objective, train=FAST).apply(workspace(tmp_path, 2))
    (proof,) = done.proofs
    assert proof.claim == "mrr@10 on dev"
    assert proof.after > 2 * proof.before
    assert embedding_of(done.model).widths == getattr(objective, "widths", ())


def test_the_widths_of_prefixes_are_saved_and_served(tmp_path: Path) -> None:
    step = TrainBiEncoder(
        objective=Matryoshka(widths=(16, 8)), train=FAST, require_improvement=False
    )
    done = step.apply(workspace(tmp_path, 1))
    save_model(done.model, done.tokenizer, tmp_path / "m")
    assert embedding_of(load_model(tmp_path / "m", "embedding")[0]).widths == (8, 16)
    write_manifest(tmp_path / "m", Manifest(kind="embedding", max_length=64))
    assert open_served(tmp_path / "m", Settings(threads=1)).widths == (8, 16, 32)
    again = TrainBiEncoder(train=FAST, require_improvement=False).apply(
        workspace(tmp_path / "again", 1).with_(model=done.model)
    )
    assert embedding_of(again.model).widths == ()


class Killed(Exception):
    pass


def test_a_training_that_was_killed_ends_like_one_that_was_not(tmp_path: Path) -> None:
    """In batches that are encoded in parts, with dropout."""
    setup = TrainSetup(
        epochs=2,
        batch_size=12,
        precision="fp32",
        checkpoint_seconds=0,
        max_tokens_per_microbatch=64,
    )
    step = TrainBiEncoder(train=setup, load_best_at_end=False, require_improvement=False)

    def watch(name: str, told: Any) -> None:
        if getattr(told, "step", 0) == 3:
            raise Killed

    weights = []
    for folder, watches in (("whole", (None,)), ("killed", (watch, None))):
        for one in watches:
            begun = workspace(tmp_path / folder, 1).with_(watch=one)
            try:
                weights.append(copy.deepcopy(step.apply(begun).model.state_dict()))
            except Killed:
                assert (tmp_path / folder / "checkpoint").is_dir()
    assert len(weights) == 2
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
    with pytest.raises(ValueError, match=r"differs in loss\.objective\.scale"):
        TrainBiEncoder(
            objective=InBatchNegatives(scale=5), train=setup, load_best_at_end=False
        ).apply(workspace(tmp_path / "killed", 1))


def test_a_compressed_encoder_is_trained_and_opens_in_sentence_transformers(
    tmp_path: Path,
) -> None:
    save_model(*encoder(), tmp_path / "encoder")
    uneven = {"criterion": "activation", "spread": "global", "multiple": 8}
    recipe = {
        "model": str(tmp_path / "encoder"),
        "data": {"path": str(write_pairs(tmp_path / "data", 1)), "kind": "embedding"},
        "measure": False,
        "steps": [
            {"use": "shrink", "layers": 2, "heads": 0.5, "ffn": 0.5, **uneven},
            {"use": "train-bi-encoder", "train": {"epochs": 4, "learning_rate": 3e-3}},
        ],
    }
    done = run(decode(Recipe, recipe), tmp_path / "run")
    folder = tmp_path / "run" / "01-train-bi-encoder" / "model"
    assert done.saved == folder
    texts = ["where is the fox", "rice", "the lazy dog and people over my card back twice"]
    theirs = SentenceTransformer(str(folder), device="cpu").encode(texts)
    write_manifest(folder, Manifest(kind="embedding", max_length=64))
    ours = leanformer.load(folder).encode(texts)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(theirs, axis=1), 1, atol=1e-5)


def test_a_cross_encoder_is_learned_from(tmp_path: Path) -> None:
    save_model(*tiny_model("bert", num_labels=1), tmp_path / "cross")
    step = TrainBiEncoder(
        objective=MarginMse(scale=3.0),
        cross_encoder=str(tmp_path / "cross"),
        teacher_cache=tmp_path / "cache",
        train=FAST,
        load_best_at_end=False,
    )
    given = workspace(tmp_path / "student", 2)
    other = related(1, rows=6)
    dev = Examples(texts=list(other.anchors), relations=other)
    done = step.apply(given.with_(dataset=replace(given.dataset, dev=dev)))
    assert done.proofs[1].claim == "training loss"
    assert done.proofs[1].after < done.proofs[1].before
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == 1  # dev is judged without


def test_a_training_without_effect_is_an_error(tmp_path: Path) -> None:
    still = TrainSetup(steps=1, learning_rate=1e-12, precision="fp32")
    with pytest.raises(NoEffect, match="mrr@10 on dev"):
        TrainBiEncoder(train=still).apply(workspace(tmp_path))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    begun = workspace(tmp_path)
    with pytest.raises(ValueError, match=r"score_range: \[5, 0\] does not rise"):
        TrainBiEncoder(score_range=(5, 0))
    with pytest.raises(ValueError, match="cross_encoder: only margin-mse"):
        TrainBiEncoder(cross_encoder="here")
    with pytest.raises(ValueError, match="teacher_cache: there is no cross_encoder"):
        TrainBiEncoder(objective=MarginMse(), teacher_cache=tmp_path)
    with pytest.raises(ValueError, match=r"objective.widths\[0\]: 64 is not below 32"):
        TrainBiEncoder(objective=Matryoshka()).foresee(Sketch(model=begun.model))
    with pytest.raises(ValueError, match="train row 1: this objective needs a negative"):
        TrainBiEncoder(objective=Triplet()).apply(begun)
    bare = Examples(texts=["the fox"])
    single = Dataset(name="one", task=Task(kind="embedding"), train=bare, dev=bare, test=bare)
    with pytest.raises(ValueError, match="train has single texts"):
        TrainBiEncoder().apply(begun.with_(dataset=single))
    task = Task(kind="regression")
    other = Dataset(name="one", task=task, train=bare, dev=bare, test=bare)
    with pytest.raises(ValueError, match="the task is regression, whose models make no vectors"):
        TrainBiEncoder().apply(begun.with_(dataset=other))
