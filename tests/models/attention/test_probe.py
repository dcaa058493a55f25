"""Which layers a model has, and which of them no mechanism can serve."""

from typing import Any

import pytest
from attached_cases import QWEN3, SMALL, drawn_model
from transformers import (
    BartConfig,
    Gemma2Config,
    GptOssConfig,
    LlavaConfig,
    MiMoV2FlashConfig,
    ViTConfig,
    ViTModel,
)

from leanformer.attention import SlidingWindow
from leanformer.attention.hf.attach import attach, attached
from leanformer.models.attention.implementations import implementations
from leanformer.models.attention.probe import layers_of

EVERYTHING = SlidingWindow(left=999, right=999)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (GptOssConfig(**QWEN3, num_local_experts=4, layer_types=["full_attention"] * 2), "s_aux"),
        (Gemma2Config(**QWEN3, layer_types=["full_attention"] * 2), "softcap"),
    ],
    ids=["sinks", "soft-cap"],
)
def test_what_a_layer_asks_for_is_refused_by_name(config: Any, name: str) -> None:
    model = drawn_model(config)
    before = model.config._attn_implementation
    with pytest.raises(ValueError, match=rf"{type(model).__name__}: .*asks for {name}"):
        attach(model, EVERYTHING)
    with pytest.raises(ValueError, match=rf"layer 0 \(layers\.0\.self_attn\) asks for {name}"):
        attach(model, EVERYTHING, layers=[0])
    assert not attached(model)
    assert model.config._attn_implementation == before


def test_layers_whose_sinks_would_be_lost_are_refused_even_where_they_stay_dense() -> None:
    config = MiMoV2FlashConfig(
        **QWEN3,
        v_head_dim=8,
        swa_head_dim=8,
        swa_v_head_dim=8,
        swa_num_attention_heads=4,
        swa_num_key_value_heads=2,
        n_routed_experts=2,
        num_experts_per_tok=1,
        layer_types=["full_attention", "sliding_attention"],
        mlp_layer_types=["dense", "dense"],
    )
    model = drawn_model(config)
    with pytest.raises(ValueError, match=r"stay dense layers\.1\.self_attn asks for s_aux"):
        attach(model, EVERYTHING)
    assert not attached(model)


def test_a_model_is_left_as_it_was() -> None:
    model = drawn_model(LlavaConfig(text_config={"model_type": "llama", **QWEN3},
        vision_config={"model_type": "clip_vision_model", **SMALL, "num_attention_heads": 4},
        image_token_index=59))  # fmt: skip
    model.train()
    model.set_attn_implementation({"text_config": "eager", "vision_config": "sdpa"})
    before = [name for _, name in implementations(model)]
    found = layers_of(model)
    assert [layer.name for layer in found] == [
        "language_model.layers.0.self_attn",
        "language_model.layers.1.self_attn",
    ]
    assert len(set(before)) == 2
    assert [name for _, name in implementations(model)] == before
    assert model.training


def test_a_decoder_is_causal_and_sees_its_encoder_by_other_layers() -> None:
    config = BartConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=60,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    found = layers_of(drawn_model(config))
    assert [layer.causal for layer in found[:2]] == [False, True]
    assert [layer.unsupported for layer in found] == [(), (), ("keys of another text",)]


def test_models_of_something_else_are_refused() -> None:
    model = ViTModel(ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=4))
    with pytest.raises(ValueError, match="ViTModel does not read token ids but pixel_values"):
        attach(model, EVERYTHING)
