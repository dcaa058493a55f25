"""What `convert` finds, takes over and refuses, whatever the model."""

from pathlib import Path

import pytest
import torch
from transformers import LongformerConfig, LongformerForSequenceClassification

from leanformer.attention.convert import convert
from leanformer.models.tiny import tiny_model


def classifier() -> LongformerForSequenceClassification:
    """A small Longformer with a head."""
    config = LongformerConfig(
        hidden_size=32, num_attention_heads=4, num_hidden_layers=2, intermediate_size=48,
        attention_window=4, vocab_size=60, max_position_embeddings=70, pad_token_id=1,
    )  # fmt: skip
    return LongformerForSequenceClassification(config).eval()


def test_what_it_saves_is_the_checkpoint_that_it_was(tmp_path: Path) -> None:
    model = classifier()
    before = {name: x.data_ptr() for name, x in model.state_dict().items()}
    ids = torch.randint(5, 60, (2, 11), generator=torch.Generator().manual_seed(0))
    expected = model(ids).logits
    layers = convert(model).layers
    assert layers == tuple(f"longformer.encoder.layer.{n}.attention.self" for n in range(2))
    assert {name: x.data_ptr() for name, x in model.state_dict().items()} == before
    model.save_pretrained(tmp_path)
    plain = LongformerForSequenceClassification.from_pretrained(tmp_path).eval()
    kinds = {type(plain.get_submodule(name)).__name__ for name in layers}
    assert kinds == {"LongformerSelfAttention"}
    assert torch.equal(plain(ids).logits, expected)
    assert convert(plain).layers == layers
    assert torch.equal(plain(ids).logits, model(ids).logits)
    torch.testing.assert_close(plain(ids).logits, expected)


def test_other_models_are_sent_to_attach() -> None:
    model, _ = tiny_model("bert")
    with pytest.raises(ValueError, match=r"BertFor.*is one of LongformerSelfAttention.*attach"):
        convert(model)


def test_a_model_that_is_to_show_its_weights_is_refused() -> None:
    model = classifier()
    model.config.output_attentions = True
    with pytest.raises(ValueError, match=r"config\.output_attentions: .*Nothing was changed"):
        convert(model)
