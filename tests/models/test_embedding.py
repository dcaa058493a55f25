from pathlib import Path
from typing import Any

import pytest
import torch

from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.cutting.vocabulary import cut_vocabulary
from leanformer.models.embedding import (
    FIELD,
    Embedding,
    describe_embedding,
    embedding_of,
    text_vectors,
)
from leanformer.models.io.load import load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.numerics.pooling import Pooling, pool

OWN = Embedding(
    pooling=Pooling(mode="cls", normalize=False),
    prompts={"query": "query: ", "document": ""},
    default_prompt_name="query",
    similarity="dot",
    widths=(8, 16),
)


def described(embedding: Embedding = OWN, family: str = "bert") -> tuple[Any, Any]:
    model, tokenizer = tiny_model(family, head="embedding")
    describe_embedding(model, tokenizer, embedding)
    return model, tokenizer


def test_a_model_that_says_nothing_is_pooled_by_the_mean_and_normalized() -> None:
    model, _ = tiny_model("bert", head="embedding")
    assert embedding_of(model) == Embedding(declared=False)
    assert embedding_of(model).pooling == Pooling(mode="mean", normalize=True)


def test_the_description_is_the_models_own() -> None:
    model, tokenizer = described()
    assert embedding_of(model) == OWN
    assert tokenizer.prompt == OWN.prompt == "query: "
    states, mask = torch.randn(2, 5, 32), torch.tensor([[1] * 5, [0, 0, 1, 1, 1]])
    assert torch.equal(text_vectors(model, states, mask), pool(states, mask, OWN.pooling))


def test_a_model_can_be_told_that_it_makes_no_embeddings() -> None:
    model, tokenizer = described()
    for _ in range(2):
        describe_embedding(model, tokenizer, None)
        assert not hasattr(model.config, FIELD)
        assert tokenizer.prompt == ""


@pytest.mark.parametrize("family", ["bert", "modernbert", "gpt2"])
def test_surgery_saving_and_loading_keep_it(family: str, tmp_path: Path) -> None:
    model, tokenizer = described(family=family)
    keep_layers(model, [0, 2])
    keep_heads(model, {1: [0, 1]})
    tokenizer, _ = cut_vocabulary(model, tokenizer, list(TEXTS))
    assert tokenizer.prompt == "query: "
    save_model(model, tokenizer, tmp_path / "m")
    again, tokens = load_model(tmp_path / "m", "embedding")
    assert embedding_of(again) == OWN
    assert tokens.prompt == "query: "


def test_what_transformers_saved_keeps_it_too(tmp_path: Path) -> None:
    model, tokenizer = described()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert embedding_of(load_model(tmp_path, "embedding")[0]) == OWN


def test_another_head_drops_it(tmp_path: Path) -> None:
    save_model(*described(), tmp_path / "m")
    model, tokenizer = load_model(tmp_path / "m", "classification", num_labels=2)
    assert not hasattr(model.config, FIELD)
    assert tokenizer.prompt == ""


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"pooling": {"mode": "median"}}, r"sentence_embedding.pooling.mode: 'median' is not one"),
        ({"dim": 3}, r"config.json: sentence_embedding.dim: Embedding has no field 'dim'"),
        ({"default_prompt_name": "q"}, r"default_prompt_name: 'q' is not a prompt; prompts: none"),
        ({"widths": [16, 8]}, r"widths: \[16, 8\] are not positive numbers that rise"),
    ],
)
def test_a_damaged_description_is_refused(damage: Any, message: str, tmp_path: Path) -> None:
    model, tokenizer = tiny_model("bert", head="embedding")
    setattr(model.config, FIELD, damage)
    with pytest.raises(ValueError, match=message):
        embedding_of(model)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path, "embedding")


@pytest.mark.parametrize(
    ("normalize", "similarity", "count"),
    [(True, "dot", False), (False, "cosine", False), (False, "dot", True)],
)
def test_lengths_count_where_the_similarity_sees_them(
    normalize: bool, similarity: Any, count: bool
) -> None:
    pooling = Pooling(normalize=normalize)
    assert Embedding(pooling=pooling, similarity=similarity).lengths_count == count
