from pathlib import Path

import numpy as np
import pytest
import tiny_data

from leanformer.models.embedding import Embedding, describe_embedding
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.numerics.pooling import Pooling
from leanformer.retrieve.searching.reranking import Reranker, open_reranker
from leanformer.runtime.manifest import Manifest, write_manifest

QUESTION = "how many calories are there in rice?"
PASSAGES = [
    "a bowl of rice",
    "jump",
    " ".join(["the acting was wonderful and the answer is light"] * 12),
    "café, 我爱",
]


def saved(folder: Path, labels: int = 1) -> Path:
    model, tokenizer = tiny_model("bert", num_labels=labels)
    save_model(model, tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("reranker") / "m")


def test_scores_are_those_of_sentence_transformers_cross_encoder(folder: Path) -> None:
    from sentence_transformers import CrossEncoder

    theirs = CrossEncoder(str(folder), device="cpu", max_length=64)
    expected = theirs.predict([(QUESTION, one) for one in PASSAGES])
    found = open_reranker(folder, threads=1).scores(QUESTION, PASSAGES)
    assert found.shape == (4,)
    assert ((found > 0) & (found < 1)).all()
    np.testing.assert_allclose(found, expected, atol=0.01)  # bf16 where the processor has it


def test_a_passage_scores_the_same_beside_any_others(folder: Path) -> None:
    reranker = open_reranker(folder, threads=1)
    together = reranker.scores(QUESTION, PASSAGES)
    alone = [reranker.scores(QUESTION, [one])[0] for one in PASSAGES]
    np.testing.assert_allclose(together, alone, atol=0.01)
    assert reranker.scores(QUESTION, []).shape == (0,)
    with pytest.raises(ValueError, match=r"pairs\[1\] is empty"):
        reranker.scores(QUESTION, ["a", " "])


def test_an_exported_folder_scores_as_its_weights_do(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert", num_labels=1)
    save_model(model, tokenizer, tmp_path / "m")
    write_manifest(
        tmp_path / "m",
        Manifest(kind="ranking", max_length=64, pairs=True, backend="pytorch", precision="fp32"),
    )
    exported = open_reranker(tmp_path / "m", threads=1)
    assert isinstance(exported, Reranker)
    np.testing.assert_allclose(
        exported.scores(QUESTION, PASSAGES),
        open_reranker(folder, threads=1).scores(QUESTION, PASSAGES),
        atol=0.01,
    )


def test_models_that_score_no_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has 3 labels, and a cross-encoder has one"):
        open_reranker(saved(tmp_path / "three", 3))
    model, tokenizer = tiny_model("bert", head="embedding")
    describe_embedding(model, tokenizer, Embedding(pooling=Pooling()))
    save_model(model, tokenizer, tmp_path / "vectors")
    with pytest.raises(ValueError, match="has no trained head that scores pairs"):
        open_reranker(tmp_path / "vectors")
    data = tiny_data.write_data(tmp_path / "data")
    with pytest.raises(ValueError, match="holds a model for classification; a reranker is"):
        open_reranker(tiny_data.write_served(tmp_path / "served", data))
    with pytest.raises(OSError, match="gone"):
        open_reranker(tmp_path / "gone")
