from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from train.toy import TEXTS

from leanformer.data import IGNORE, Encoded
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS as SENTENCES
from leanformer.models.tiny_tokenizers import tiny_tokenizer
from leanformer.train.loss import Supervised
from leanformer.train.packing import (
    best_fit,
    check_packs,
    cut,
    documents,
    encode_documents,
    model_inputs,
    pack,
    split,
)

KIND = "causal-lm"
DOCUMENTS = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=25), min_size=1, max_size=20)


def pairs(rows: list[list[int]], labels: list[list[int]]) -> list[tuple[int, int]]:
    """Each token with its label."""
    both = zip(rows, labels, strict=True)
    return sorted(pair for ids, own in both for pair in zip(ids, own, strict=True))


@given(found=DOCUMENTS, length=st.integers(2, 12))
def test_no_token_is_lost_or_counted_twice(found: list[list[int]], length: int) -> None:
    packed = pack(found, KIND, length, 0)
    rows, labels = [row["input_ids"] for row in packed.encoded.rows], packed.encoded.labels
    assert labels is not None
    expected = [[*ids[1:], IGNORE] for ids in found]
    assert pairs(rows, labels) == pairs(found, expected)
    assert max(map(len, rows)) <= length
    assert packed.texts == len(found)
    assert packed.split == sum(len(ids) > length for ids in found)
    pieces = []  # read back by where positions begin anew
    for row in packed.encoded.rows:
        assert row["attention_mask"] == [1] * len(row["input_ids"])
        for token, place in zip(row["input_ids"], row["position_ids"], strict=True):
            if place == 0:
                pieces.append([])
            assert place == len(pieces[-1])
            pieces[-1].append(token)
    assert sorted(pieces) == sorted(piece.ids for ids in found for piece in split(ids, length))


@given(lengths=st.lists(st.integers(1, 10), max_size=40))
def test_rows_are_filled_well(lengths: list[int]) -> None:
    rows = best_fit(lengths, 10)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    sums = [sum(lengths[index] for index in row) for row in rows]
    assert all(0 < total <= 10 for total in sums)
    assert sum(total <= 5 for total in sums) <= 1  # two half empty rows would be one


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_texts_are_answered_as_if_they_stood_alone(family: str, attention: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    model = model.double()
    model.set_attn_implementation(attention)
    check_packs(model)
    found = documents(SENTENCES, tokenizer)
    packed = pack(found, KIND, 40, tokenizer.pad_token_id).encoded
    batch = packed.batch(list(range(len(packed))))
    assert len(packed) < len(found)
    logits = model(**model_inputs(batch.inputs)).logits
    alone = {tuple(ids): model(input_ids=torch.tensor([ids])).logits[0] for ids in found}
    seen = 0
    for row, own in zip(packed.rows, logits, strict=True):
        starts = [at for at, place in enumerate(row["position_ids"]) if place == 0]
        for begin, end in zip(starts, [*starts[1:], len(row["input_ids"])], strict=True):
            text = tuple(row["input_ids"][begin:end])
            torch.testing.assert_close(own[begin:end], alone[text], rtol=1e-10, atol=1e-12)
            seen += 1
    assert seen == len(found)


def slopes(model: Any, encoded: Encoded, rows: list[int]) -> list[torch.Tensor]:
    """The gradients of the summed loss of these rows, and at last the loss."""
    model.zero_grad()
    loss, batch = Supervised(KIND), encoded.batch(rows)
    (term,) = loss(model, batch)
    term.total.backward()
    return [parameter.grad.clone() for parameter in model.parameters()] + [term.total.detach()]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_gradients_of_packed_texts_are_the_sum_of_those_of_the_texts(family: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    model = model.double()
    found = documents(SENTENCES, tokenizer)
    packed = pack(found, KIND, 48, tokenizer.pad_token_id).encoded
    single = cut(found, KIND, 48, tokenizer.pad_token_id)
    assert single.truncated == 0
    ours = slopes(model, packed, list(range(len(packed))))
    each = [slopes(model, single, [index]) for index in range(len(single))]
    for mine, theirs in zip(ours, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(mine, sum(theirs), rtol=1e-9, atol=1e-11)


def test_texts_end_with_the_end_token_once() -> None:
    tokenizer = tiny_tokenizer("llama")
    (ids,) = documents(["the quick fox"], tokenizer)
    assert ids == [*tokenizer("the quick fox")["input_ids"], tokenizer.eos_token_id]
    assert documents(["the quick fox</s>"], tokenizer) == [ids]
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="TokenizersBackend has no end token"):
        documents(["the quick fox"], tokenizer)


def test_long_texts_are_split_where_texts_are_packed_and_cut_where_not() -> None:
    model, tokenizer = tiny_model("llama", head="causal")
    texts = [" ".join(TEXTS), "music"]
    whole = sum(map(len, documents(texts, tokenizer)))
    packed, read = encode_documents(texts, tokenizer, KIND, 16, packed_for=[model])
    assert sum(map(packed.length, range(len(packed)))) == whole > 64
    assert (
        read == f"2 texts packed into {len(packed)} rows of 16 tokens, 1 of them longer and split"
    )
    single, read = encode_documents(texts, tokenizer, KIND, 16)
    assert [single.length(index) for index in range(2)] == [
        16,
        len(documents(["music"], tokenizer)[0]),
    ]
    assert read == "2 texts, 1 cut to 16 tokens"
    longest, _ = encode_documents(texts, tokenizer, KIND, 10**6, packed_for=[model])
    assert max(map(longest.length, range(len(longest)))) == tokenizer.model_max_length
    with pytest.raises(ValueError, match="max_length: 1 is too short to predict a token"):
        encode_documents(texts, tokenizer, KIND, 1, packed_for=[model])


class Blind(torch.nn.Module):
    """A model that takes positions for nothing but positions, as most code of one's own does."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, input_ids: Any, position_ids: Any = None, **_: Any) -> Any:
        mask = torch.ones_like(input_ids)
        return self.model(input_ids=input_ids, position_ids=position_ids, attention_mask=mask)


def test_a_model_in_which_packed_texts_see_each_other_is_refused() -> None:
    from transformers import BloomConfig, BloomForCausalLM

    model, tokenizer = tiny_model("llama", head="causal")
    model.train()
    check_packs(model)
    assert model.training
    torch.manual_seed(0)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=99, hidden_size=32, n_layer=2, n_head=4))
    for other, name in ((Blind(model), "Blind"), (bloom, "BloomForCausalLM")):
        with pytest.raises(ValueError, match=f"packing: in {name} the texts of a row see each"):
            check_packs(other)
    with pytest.raises(ValueError, match="set packing = false, which gives each text a row"):
        encode_documents(["the fox"], tokenizer, KIND, 16, packed_for=[model, bloom])
