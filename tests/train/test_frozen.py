from dataclasses import replace

import pytest
import torch
from train.toy import FAST, toy

from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.quantize.fake import QATEmbedding
from leanformer.quantize.quantizers import Uniform
from leanformer.train import Supervised, fit
from leanformer.train.frozen import frozen_embeddings


@pytest.mark.parametrize("family", FAMILIES)
def test_embeddings_alone_are_frozen_within_and_trained_afterwards(family: str) -> None:
    head = "causal" if family in ("gpt2", "llama") else "classification"
    model, _ = tiny_model(family, head=head)
    tables = {id(sub.weight) for sub in model.modules() if isinstance(sub, torch.nn.Embedding)}
    with frozen_embeddings(model):
        still = {id(weight) for weight in model.parameters() if not weight.requires_grad}
    assert still == tables != set()
    assert all(weight.requires_grad for weight in model.parameters())


def test_what_was_frozen_before_stays_frozen_also_after_an_error() -> None:
    model, _ = toy()
    places = model.bert.embeddings.position_embeddings.weight.requires_grad_(False)
    with pytest.raises(KeyError), frozen_embeddings(model):
        raise KeyError
    assert not places.requires_grad
    assert model.bert.embeddings.word_embeddings.weight.requires_grad


def test_an_embedding_that_rounds_is_frozen_too() -> None:
    model, _ = toy()
    embedding = QATEmbedding(model.get_input_embeddings(), Uniform())
    model.set_input_embeddings(embedding)
    with frozen_embeddings(model):
        assert not embedding.weight.requires_grad


def test_a_training_leaves_them_and_changes_the_rest() -> None:
    model, encoded = toy()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fit(model, encoded, Supervised("classification"), replace(FAST, freeze_embeddings=True))
    changed = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    tables = {key for key in before if key.endswith("_embeddings.weight")}
    assert len(tables) == 3
    assert not tables & changed
    assert "bert.embeddings.LayerNorm.weight" in changed
    assert "bert.encoder.layer.0.attention.self.query.weight" in changed
