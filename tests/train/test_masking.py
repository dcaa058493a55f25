import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from train.toy import TEXTS

from leanformer.data import IGNORE, Examples, encode_examples
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train.masking import masked, masking

MASK, VOCABULARY = 4, 500


@given(seed=st.integers(0, 999), share=st.floats(0.05, 0.9))
def test_labels_are_the_chosen_tokens_and_nothing_else_changes(seed: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, VOCABULARY, (3, 7), generator=generator)
    free = torch.rand(3, 7, generator=generator) < 0.7
    shown, labels = masked(ids, free, MASK, VOCABULARY, share, generator)
    chosen = labels != IGNORE
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(shown[~chosen], ids[~chosen])
    assert not (chosen & ~free).any()


def test_of_the_chosen_eight_tenths_are_masked_and_a_tenth_is_random() -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.full((200, 500), 9)
    shown, labels = masked(ids, ids > 0, MASK, VOCABULARY, 0.15, generator)
    chosen = labels != IGNORE
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.005)
    hidden = (shown == MASK) & chosen
    assert hidden.sum().item() / chosen.sum().item() == pytest.approx(0.8, abs=0.01)
    same = (shown == ids) & chosen
    assert same.sum().item() / chosen.sum().item() == pytest.approx(0.1, abs=0.01)


def test_a_set_is_hidden_once_the_same_way_each_time_and_specials_never() -> None:
    tokenizer = tiny_tokenizer("bert")
    encoded = encode_examples(Examples(texts=TEXTS * 20), tokenizer, "masked-lm", 32)
    hide = masking(tokenizer, share=0.5)
    found, again, other = hide.encoded(encoded), hide.encoded(encoded), hide.encoded(encoded, 1)
    assert found.rows == again.rows != other.rows
    assert found.labels == again.labels
    batch = found.batch([0, 1, 2])
    assert batch.labels is not None
    assert batch.labels.shape == batch.inputs["input_ids"].shape
    special = torch.isin(batch.labels, torch.tensor(tokenizer.all_special_ids))
    assert not special.any()
    assert (batch.labels[batch.inputs["attention_mask"] == 0] == IGNORE).all()


def test_a_tokenizer_without_mask_token_is_refused() -> None:
    with pytest.raises(ValueError, match="has no mask token: its model is no masked language"):
        masking(tiny_tokenizer("gpt2"))
