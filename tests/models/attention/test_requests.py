"""What a call of the attention interface asks for."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaConfig
from transformers.masking_utils import (
    and_masks,
    bidirectional_mask_function,
    causal_mask_function,
    create_bidirectional_sliding_window_mask,
    create_causal_mask,
    create_chunked_causal_mask,
    create_sliding_window_causal_mask,
    sdpa_mask,
)

from leanformer.models.attention import interface  # registers the mask under its name
from leanformer.models.attention.requests import (
    HARMLESS,
    MaskSpec,
    Request,
    mask_parts,
    read_request,
)

BLIND, SEES_ALL = SimpleNamespace(is_causal=True), SimpleNamespace(is_causal=False)


def spec(function: Any = causal_mask_function, **others: Any) -> MaskSpec:
    """What transformers hands our mask function for two texts of six tokens."""
    given = {"batch_size": 2, "q_length": 6, "kv_length": 6, "q_offset": 0, "kv_offset": 0}
    return MaskSpec({**given, "mask_function": function, "attention_mask": None, **others})


def read(module: Any, mask: Any, tokens: int = 6, seen: int = 6, **others: Any) -> Request:
    return read_request(
        module, torch.zeros(2, 4, tokens, 8), torch.zeros(2, 4, seen, 8), mask, others
    )


@pytest.mark.parametrize("module", [BLIND, SEES_ALL, SimpleNamespace()])
def test_the_mask_function_decides_whether_a_call_is_causal(module: Any) -> None:
    assert read(module, spec(), is_causal=False).causal is True
    assert read(module, spec(bidirectional_mask_function), is_causal=True).causal is False
    assert read(module, spec(and_masks(causal_mask_function))).causal is None


def test_without_a_mask_the_call_decides_and_then_the_module() -> None:
    assert read(BLIND, None).causal is True
    assert read(SEES_ALL, None).causal is False
    assert read(SimpleNamespace(), None).causal is True  # as sdpa_attention_forward takes it
    assert read(SEES_ALL, None, is_causal=True).causal is True
    assert read(BLIND, None, is_causal=False).causal is False
    assert read(BLIND, None, tokens=1).causal is None  # one query sees all keys either way


@pytest.mark.parametrize(
    "name",
    ["s_aux", "sinks", "softcap", "head_mask", "indices", "cu_seq_lens_q", "block_mask", "new"],
)
def test_arguments_that_nobody_knows_are_named(name: str) -> None:
    found = read(BLIND, spec(), **{name: torch.zeros(1)})
    assert (found.unsupported, found.lost) == ((name,), (name,))
    assert read(BLIND, spec(), **{name: None}) == Request(True, (), ())


def test_dense_attention_honors_what_a_mechanism_does_not() -> None:
    found = read(BLIND, spec(), position_bias=torch.zeros(1), sliding_window=4)
    assert found == Request(True, ("position_bias", "sliding_window"), ())
    assert read(BLIND, spec(), output_attentions=True).unsupported == ("output_attentions",)
    assert read(BLIND, spec(), output_attentions=False).unsupported == ()


def test_what_is_harmless_says_why() -> None:
    assert read(BLIND, spec(), **dict.fromkeys(HARMLESS, False)).unsupported == ()
    assert all(len(reason.split()) > 3 for reason in HARMLESS.values())


def test_masks_that_are_more_than_causality_and_padding_are_named() -> None:
    assert read(BLIND, torch.zeros(2, 1, 6, 6)).unsupported == (
        "attention_mask (one of T x S, [2, 1, 6, 6])",
    )
    cross = read(BLIND, spec(bidirectional_mask_function, kv_length=9), seen=6)
    assert cross.unsupported == ("attention_mask (one of [6, 9] over [6, 6] queries and keys)",)
    assert read(BLIND, spec(kv_offset=2)).unsupported


def of_a_token_type(batch: Any, head: Any, query: Any, key: Any) -> Any:
    """What a model of images lays over its mask."""
    return query == key


@pytest.mark.parametrize(
    ("make", "others", "parts"),
    [
        (create_sliding_window_causal_mask, {}, ("a sliding window",)),
        (create_bidirectional_sliding_window_mask, {}, ("a sliding window",)),
        (create_chunked_causal_mask, {}, ("chunks",)),
        (
            create_causal_mask,
            {"position_ids": torch.tensor([[0, 1, 2, 0, 1, 2]])},
            ("packed sequences",),
        ),
        (create_causal_mask, {"or_mask_function": of_a_token_type}, ("of_a_token_type",)),
        (
            create_causal_mask,
            {"block_sequence_ids": torch.zeros(2, 6, dtype=torch.long)},
            ("blocks that are bidirectional within",),
        ),
    ],
)
def test_composed_masks_say_what_they_are_of(make: Any, others: Any, parts: Any) -> None:
    config = LlamaConfig(attn_implementation=interface.NAME)
    config.sliding_window = config.attention_chunk_size = 3
    said = {"attention_mask": None, "cache": None, **others}
    made = make(config, inputs_embeds=torch.zeros(2, 6, 8), **said)
    assert made.causal is None
    assert mask_parts(made.arguments["mask_function"]) == parts
    assert read(BLIND, made).unsupported == (f"attention_mask ({parts[0]})",)


@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=2, max_size=2))
def test_a_mask_of_ones_is_none(rows: list[list[bool]]) -> None:
    mask = torch.tensor(rows)
    found = spec(attention_mask=mask.long()).keep_BS
    if mask.all():
        assert found is None
    else:
        assert found is not None
        assert torch.equal(found, mask)


def test_keys_of_a_cache_that_are_not_there_yet_are_hidden() -> None:
    ones = torch.ones(2, 6, dtype=torch.long)
    assert spec(attention_mask=ones, kv_length=9).keep_BS is None  # causality hides them
    found = spec(bidirectional_mask_function, attention_mask=ones, kv_length=9).keep_BS
    assert found is not None
    assert found.sum(1).tolist() == [6, 6]
    assert found.shape == (2, 9)


def test_ones_are_looked_for_once_in_a_forward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = torch.Tensor.all

    def counted(self: torch.Tensor) -> torch.Tensor:
        looked.append(1)
        return real(self)

    mask = spec(attention_mask=torch.ones(2, 6))
    monkeypatch.setattr(torch.Tensor, "all", counted)
    assert [mask.keep_BS for _ in range(12)] == [None] * 12
    assert looked == [1]


def test_the_dense_mask_is_that_of_transformers() -> None:
    keep = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]).bool()
    made = spec(attention_mask=keep)
    dense = made.dense()
    assert dense is not None
    assert dense is made.dense()
    assert torch.equal(dense, sdpa_mask(**made.arguments))
    assert made.shape == dense.shape
