import pytest
import torch

from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.train.dropout import without_dropout

INPUTS = {"input_ids": torch.tensor([[5, 6, 7, 8, 9]]), "attention_mask": torch.ones(1, 5).long()}
DROPOUTS = {
    "distilbert": ("dropout", "attention_dropout", "seq_classif_dropout"),
    "modernbert": ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout"),
    "gpt2": ("attn_pdrop", "embd_pdrop", "resid_pdrop"),
    "llama": ("attention_dropout",),
}
BERT = ("hidden_dropout_prob", "attention_probs_dropout_prob")


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_dropped_within_and_all_is_as_before_afterwards(family: str) -> None:
    settings = dict.fromkeys(DROPOUTS.get(family, BERT), 0.5)
    head = "causal" if family in ("gpt2", "llama") else "classification"
    model, _ = tiny_model(family, head=head, **settings)
    expected = model(**INPUTS).logits
    model.train()
    assert not torch.equal(model(**INPUTS).logits, model(**INPUTS).logits)
    with without_dropout(model):
        assert model.training
        torch.testing.assert_close(model(**INPUTS).logits, expected)
    assert not torch.equal(model(**INPUTS).logits, model(**INPUTS).logits)


def test_the_settings_come_back_after_an_error() -> None:
    model, _ = tiny_model("bert", hidden_dropout_prob=0.3)
    with pytest.raises(KeyError), without_dropout(model):
        raise KeyError
    assert model.dropout.p == 0.3
