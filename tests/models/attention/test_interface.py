"""Calls of an attached model: what is refused by name, and caches."""

import pytest
import torch
from attached_cases import QWEN3, drawn_model, two_texts
from transformers import Qwen3Config

from leanformer.attention import SlidingWindow
from leanformer.attention.hf.attach import attach, attached, detach
from leanformer.models.tiny import tiny_model

EVERYTHING = SlidingWindow(left=999, right=999)


def test_a_call_of_another_causality_is_refused() -> None:
    model = drawn_model(Qwen3Config(**QWEN3, is_causal=False))
    attach(model, EVERYTHING)
    model.config.is_causal = True
    with pytest.raises(ValueError, match=r"Qwen3Attention: this call is causal and .*bidirection"):
        model(**two_texts())


def test_a_model_that_is_used_otherwise_now_can_be_attached_again() -> None:
    model = drawn_model(Qwen3Config(**QWEN3, is_causal=False))
    dense = model(**two_texts()).last_hidden_state[0]
    model.config.is_causal = True
    attach(model, EVERYTHING)
    model.config.is_causal = False
    attach(model, EVERYTHING)
    assert not any(core.heads.causal for core in attached(model).values())
    found = model(**two_texts()).last_hidden_state[0]
    torch.testing.assert_close(found, dense, rtol=1e-4, atol=1e-4)


def test_packed_texts_are_refused_in_the_call() -> None:
    model = drawn_model(Qwen3Config(**QWEN3))
    attach(model, EVERYTHING)
    ids, places = two_texts()["input_ids"], torch.arange(6).repeat(2).expand(2, -1)
    with pytest.raises(ValueError, match=r"attention_mask \(packed sequences\).*leave the layer"):
        model(ids, position_ids=places, use_cache=False)
    with pytest.raises(ValueError, match=r"asks for cu_seq_lens_q, which PatternAttention would"):
        model(ids, cu_seq_lens_q=torch.tensor([0, 6, 12]))


def test_a_static_cache_generates_the_same() -> None:
    model, _ = tiny_model("llama", head="causal")
    inputs = {key: x.flip(1) for key, x in two_texts().items()}  # padding on the left
    settings = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}
    dense = model.generate(**inputs, **settings)
    attach(model, EVERYTHING)
    static = {"cache_implementation": "static", "disable_compile": True}
    assert torch.equal(model.generate(**inputs, **settings, **static), dense)


def test_layers_that_stay_dense_refuse_what_they_would_lose() -> None:
    model = drawn_model(Qwen3Config(**QWEN3))
    attach(model, EVERYTHING, layers=[1])
    sinks = torch.zeros(4)
    with pytest.raises(ValueError, match=r"Qwen3Attention: this call asks for s_aux, .*dense"):
        model(**two_texts(), s_aux=sinks)
    detach(model)
    model(**two_texts(), s_aux=sinks)  # transformers' own affair again
