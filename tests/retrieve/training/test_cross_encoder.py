from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from retrieve.training.pairs import related
from sentence_transformers import CrossEncoder
from tiny_data import write_data

from leanformer.core.codec import decode
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.recipe import Recipe, run
from leanformer.retrieve.training.cross_encoder import open_cross_encoder, score_candidates
from leanformer.runtime.manifest import Manifest, write_manifest

TEXTS = ["where is the fox", "my card", "the lazy dog and " * 30]
OTHERS = ["fox over the dog", "rice " * 40, "people"]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder that the ranking task has trained, cut to uneven layers first."""
    folder = tmp_path_factory.mktemp("ranker")
    model, tokenizer = tiny_model("bert", head="embedding", max_position_embeddings=64)
    identity = {"activation_fn": "torch.nn.modules.linear.Identity"}  # of a former life
    model.config.sentence_transformers = identity
    save_model(model, tokenizer, folder / "bert")
    recipe = {
        "model": str(folder / "bert"),
        "data": {"path": str(write_data(folder / "data", "ranking")), "kind": "ranking"},
        "measure": False,
        "steps": [
            {
                "use": "finetune",
                "max_length": 64,
                "require_improvement": False,
                "train": {"steps": 3, "precision": "fp32"},
            },
            {"use": "shrink", "layers": 2, "heads": 0.5, "spread": "global"},
        ],
    }
    run(decode(Recipe, recipe), folder / "run")
    return folder / "run" / "01-shrink" / "model"


def test_sentence_transformers_gives_the_scores_that_are_served(ranker: Path) -> None:
    import leanformer

    theirs = CrossEncoder(str(ranker), device="cpu")
    expected = theirs.predict(list(zip(TEXTS, OTHERS, strict=True)))
    write_manifest(ranker, Manifest(kind="ranking", max_length=64, pairs=True))
    found = leanformer.load(ranker).predict(TEXTS, OTHERS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert len(set(np.round(expected, 6))) == 3


@pytest.mark.parametrize("activation", ["Sigmoid", "Identity"])
def test_a_cross_encoder_of_sentence_transformers_opens_here(
    tmp_path: Path, activation: str
) -> None:
    model, tokenizer = tiny_model("bert", num_labels=1, max_position_embeddings=64)
    save_model(model, tokenizer, tmp_path / "plain")
    chosen: Any = getattr(torch.nn, activation)()
    theirs = CrossEncoder(str(tmp_path / "plain"), device="cpu", activation_fn=chosen)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    opened, own = open_cross_encoder(str(tmp_path / "theirs"))
    again = CrossEncoder(str(tmp_path / "theirs"), device="cpu")
    logits = again.predict(list(zip(TEXTS, OTHERS, strict=True)), activation_fn=torch.nn.Identity())
    inputs = own(TEXTS, OTHERS, padding=True, truncation=True, max_length=64, return_tensors="pt")
    with torch.no_grad():
        found = opened(**inputs).logits[:, 0].numpy()
    np.testing.assert_allclose(found, logits, atol=1e-5)


def test_scores_are_those_of_each_pair_and_are_kept(ranker: Path, tmp_path: Path) -> None:
    relations = related(2, rows=5)
    given: dict[str, Any] = {"precision": "fp32", "cache": tmp_path / "cache"}
    found = score_candidates(relations, str(ranker), **given)
    assert found.scores is not None
    theirs = CrossEncoder(str(ranker), device="cpu", activation_fn=torch.nn.Identity())
    for row, anchor in enumerate(relations.anchors):
        pairs = [(anchor, text) for text in relations.candidates(row)]
        np.testing.assert_allclose(found.scores[row], theirs.predict(pairs), atol=1e-5)
    (file,) = (tmp_path / "cache").glob("*.safetensors")
    assert score_candidates(relations, str(ranker), **given) == found
    assert score_candidates(related(1, rows=5), str(ranker), **given).scores != found.scores
    assert len(list((tmp_path / "cache").iterdir())) == 2
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"safetensors is damaged \(.*\); remove it"):
        score_candidates(relations, str(ranker), **given)


def test_a_kept_file_of_other_pairs_is_refused(ranker: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"precision": "fp32", "cache": tmp_path}
    for rows in (4, 5):
        score_candidates(related(rows=rows), str(ranker), **given)
    first, second = sorted(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    second.write_bytes(first.read_bytes())
    with pytest.raises(ValueError, match=r"damaged: \(4,\) scores for 5 pairs"):
        score_candidates(related(rows=5), str(ranker), **given)


def test_kept_scores_that_were_altered_or_are_of_other_pairs_are_refused(
    ranker: Path, tmp_path: Path
) -> None:
    def ask(start: int, cache: str) -> Path:
        relations = related(rows=4, start=start)
        score_candidates(relations, str(ranker), precision="fp32", cache=tmp_path / cache)
        (file,) = (tmp_path / cache).iterdir()
        return file

    file, raw = ask(0, "own"), bytearray(ask(0, "own").read_bytes())
    raw[-2] ^= 1
    for altered in (bytes(raw), ask(4, "other").read_bytes()):
        file.write_bytes(altered)
        with pytest.raises(ValueError, match="is damaged: its checksum is wrong; remove it"):
            ask(0, "own")


def test_a_model_that_scores_no_pairs_is_refused(tmp_path: Path) -> None:
    save_model(*tiny_model("bert", head="embedding"), tmp_path / "bare")
    with pytest.raises(ValueError, match="has no trained head that scores pairs"):
        open_cross_encoder(str(tmp_path / "bare"))
    save_model(*tiny_model("bert", num_labels=3), tmp_path / "three")
    with pytest.raises(ValueError, match="has 3 labels, and a cross-encoder has one"):
        open_cross_encoder(str(tmp_path / "three"))
