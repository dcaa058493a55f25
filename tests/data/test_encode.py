from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.data import IGNORE, Encoded, Examples, Words, by_length, encode_examples
from leanformer.models.families import FAMILIES
from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=60)


def of_lengths(lengths: list[int], kind: Any = "classification", labels: Any = None) -> Encoded:
    rows = [{"input_ids": [7] * n, "attention_mask": [1] * n} for n in lengths]
    return Encoded(rows, labels, 99, 0, kind)


def test_batches_are_padded_to_their_longest() -> None:
    batch = of_lengths([2, 5, 3], labels=[0, 1, 2]).batch([2, 0])
    assert batch.inputs["input_ids"].tolist() == [[7, 7, 7], [7, 7, 99]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert (batch.index, batch.tokens) == ((2, 0), 5)
    assert batch.labels is not None
    assert batch.labels.tolist() == [2, 0]
    assert batch.labels.dtype == torch.long


def test_labels_have_the_type_of_their_task() -> None:
    numbers = of_lengths([1, 2], "regression", [0.5, 2.0]).batch([0, 1]).labels
    words = of_lengths([1, 3], "tokens", [[4], [1, IGNORE, 2]]).batch([0, 1]).labels
    assert numbers is not None
    assert (numbers.dtype, numbers.tolist()) == (torch.float, [0.5, 2.0])
    assert words is not None
    assert words.tolist() == [[4, IGNORE, IGNORE], [1, IGNORE, 2]]
    assert of_lengths([1]).batch([0]).labels is None


@pytest.mark.parametrize("family", FAMILIES)
def test_every_tokenizer_gives_what_it_gives_one_text_at_a_time(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    encoded = encode_examples(Examples(texts=list(TEXTS)), tokenizer, "classification", 64)
    assert encoded.padding == tokenizer.pad_token_id
    for text, row in zip(TEXTS, encoded.rows, strict=True):
        assert row["input_ids"] == tokenizer(text)["input_ids"]
        assert "token_type_ids" not in row


def test_pairs_tell_the_second_text_by_its_type() -> None:
    tokenizer = tiny_tokenizer("bert")
    pairs = Examples(texts=["the dog"], pairs=["a lazy fox"])
    row = encode_examples(pairs, tokenizer, "classification", 64).rows[0]
    assert row["token_type_ids"] == [0] * 4 + [1] * 4


def test_texts_that_are_cut_are_counted() -> None:
    tokenizer = tiny_tokenizer("bert")
    texts = Examples(texts=["the dog", "the quick brown fox jumps", "the lazy dog"])
    encoded = encode_examples(texts, tokenizer, "classification", 5)
    assert encoded.truncated == 1
    assert [encoded.length(index) for index in range(3)] == [4, 5, 5]
    assert encoded.rows[1]["input_ids"][-1] == tokenizer.sep_token_id
    long = Examples(texts=["dog " * 100])
    assert encode_examples(long, tokenizer, "classification", 128).length(0) == 64  # its own limit
    pair = Examples(texts=["the dog " * 9], pairs=["the fox"])
    assert encode_examples(pair, tokenizer, "classification", 8).length(0) == 8


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_token_of_a_word_carries_its_label(family: str) -> None:
    words = [["the", "xylophone", "dog"], ["jumping"]]
    examples = Examples(texts=[" ".join(w) for w in words], words=words, labels=[[3, 1, 2], [5]])
    tokenizer = tiny_tokenizer(family)
    encoded = encode_examples(examples, tokenizer, "tokens", 64)
    assert encoded.labels is not None
    assert encoded.words is not None
    for index, text in enumerate(examples.texts):
        assert encoded.rows[index]["input_ids"] == tokenizer(text)["input_ids"]
        firsts, gold = encoded.words[index].firsts, encoded.words[index].labels
        expected = [IGNORE] * encoded.length(index)
        for first, label in zip(firsts, gold, strict=True):
            assert first is not None
            expected[first] = label
        assert encoded.labels[index] == expected
    assert len(encoded.labels[0]) > 5  # the odd word has several tokens
    assert encoded.take([1]).words == encoded.words[1:]
    assert encoded.take([1]).rows == encoded.rows[1:]


def test_words_that_are_cut_off_lose_their_labels_and_are_judged() -> None:
    examples = Examples(texts=["a b c d"], words=[["a", "b", "c", "d"]], labels=[[0, 1, 2, 3]])
    encoded = encode_examples(examples, tiny_tokenizer("bert"), "tokens", 4)
    assert encoded.labels == [[IGNORE, 0, 1, IGNORE]]
    assert encoded.words == [Words((1, 2, None, None), (0, 1, 2, 3))]
    assert encoded.truncated == 1


def test_half_of_a_character_is_read_as_unknown() -> None:
    tokenizer = tiny_tokenizer("roberta")
    texts = Examples(texts=["the fox \ud83d"], pairs=["\udc00 dog"])
    row = encode_examples(texts, tokenizer, "classification", 64).rows[0]
    assert row["input_ids"] == tokenizer("the fox \ufffd", "\ufffd dog")["input_ids"]
    words = Examples(texts=["fox \ud83d"], words=[["fox", "\ud83d"]], labels=[[0, 1]])
    assert encode_examples(words, tokenizer, "tokens", 64).words is not None


@given(lengths=LENGTHS, size=st.integers(1, 7))
def test_evaluation_goes_from_short_to_long(lengths: list[int], size: int) -> None:
    batches = by_length(of_lengths(lengths), size)
    order = [index for batch in batches for index in batch]
    assert [lengths[index] for index in order] == sorted(lengths)
    assert sorted(order) == list(range(len(lengths)))
    assert all(len(batch) == size for batch in batches[:-1])


def test_a_batch_goes_to_a_device_whole() -> None:
    batch = of_lengths([2, 3], labels=[0, 1]).batch([0, 1])
    batch = replace(batch, lanes=torch.tensor([0, 1]), begins=torch.tensor([True, False]))
    moved = batch.to(torch.device("meta"))
    tensors = [*moved.inputs.values(), moved.labels, moved.lanes, moved.begins]
    assert all(tensor is not None and tensor.is_meta for tensor in tensors)
    assert moved.index == batch.index
    bare = of_lengths([2]).batch([0]).to(torch.device("meta"))
    assert (bare.labels, bare.lanes, bare.begins) == (None, None, None)
    here = batch.to(torch.device("cpu"))
    assert all(here.inputs[name] is tensor for name, tensor in batch.inputs.items())


def test_some_rows_of_a_batch_take_all_that_is_theirs_along() -> None:
    batch = of_lengths([2, 3, 1], labels=[0, 1, 2]).batch([2, 0, 1])
    batch = replace(batch, lanes=torch.tensor([0, 1, 2]), begins=torch.tensor([True, False, True]))
    taken = batch.take([2, 0])
    assert taken.index == (1, 2)
    for name, tensor in batch.inputs.items():
        assert taken.inputs[name].equal(tensor[[2, 0]])
    assert taken.labels is not None
    assert taken.labels.tolist() == [1, 2]
    assert taken.lanes is not None
    assert taken.lanes.tolist() == [2, 0]
    assert taken.begins is not None
    assert taken.begins.tolist() == [True, True]
    bare = of_lengths([2]).batch([0]).take([0])
    assert (bare.labels, bare.lanes, bare.begins) == (None, None, None)


def test_a_batch_goes_to_cuda_from_pinned_memory_and_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stand-in for CUDA: what is pinned, and how it is copied."""
    pinned: list[torch.Tensor] = []
    copied: list[Any] = []

    def pin(tensor: torch.Tensor) -> torch.Tensor:
        pinned.append(tensor)
        return tensor

    def to(tensor: torch.Tensor, device: torch.device, non_blocking: bool = False) -> torch.Tensor:
        copied.append((device, non_blocking))
        return tensor

    batch = of_lengths([2, 3], labels=[0, 1]).batch([0, 1])
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(torch.Tensor, "to", to)
    batch.to(torch.device("cuda", 0))
    assert len(pinned) == 3
    assert copied == [(torch.device("cuda", 0), True)] * 3
    batch.to(torch.device("mps"))
    assert len(pinned) == 3
