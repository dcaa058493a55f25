from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from train.toy import TEXTS

from leanformer.data import IGNORE, Batch, Examples, encode_examples
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train.masking import masked, masking, special_ids

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


def with_added(family: str) -> Any:
    """A tokenizer with two special tokens more, one of them without a role, and a plain one."""
    tokenizer = tiny_tokenizer(family)
    tokenizer.add_tokens(["ENTITY"], special_tokens=True)
    tokenizer.add_special_tokens({"additional_special_tokens": ["MARK"]})
    tokenizer.add_tokens(["PLAIN"])
    return tokenizer


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "gpt2", "llama", "mpnet"])
def test_special_are_tokens_with_a_role_and_those_that_were_added_as_such(family: str) -> None:
    tokenizer = with_added(family)
    roles = ("cls", "sep", "pad", "mask", "bos", "eos", "unk")
    ids = {getattr(tokenizer, f"{role}_token_id", None) for role in roles} - {None}
    ids |= set(tokenizer.convert_tokens_to_ids(["ENTITY", "MARK"]))
    assert set(special_ids(tokenizer)) == ids
    assert tokenizer.convert_tokens_to_ids("PLAIN") not in ids


SPECIAL = with_added("bert")


@given(
    words=st.lists(st.sampled_from(["ENTITY", "MARK", "PLAIN", "fox", "[SEP]"]), max_size=9),
    share=st.floats(0.1, 1.0),
    seed=st.integers(0, 99),
)
def test_no_special_token_is_ever_hidden(words: list[str], share: float, seed: int) -> None:
    rows = SPECIAL([" ".join(words), "a fox"], padding=True, return_tensors="pt")
    inputs = {name: rows[name] for name in ("input_ids", "attention_mask")}
    batch = Batch(inputs, None, (0, 1))
    shown = masking(SPECIAL, share).batch(batch, torch.Generator().manual_seed(seed))
    special = torch.isin(inputs["input_ids"], torch.tensor(special_ids(SPECIAL)))
    assert torch.equal(shown.inputs["input_ids"][special], inputs["input_ids"][special])
    assert (shown.labels[special] == IGNORE).all()  # type: ignore[index]


def test_a_tokenizer_without_mask_token_is_refused() -> None:
    with pytest.raises(ValueError, match="has no mask token: its model is no masked language"):
        masking(tiny_tokenizer("gpt2"))
