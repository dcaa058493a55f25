"""Models that attend by a mechanism are stored and loaded, whatever their architecture."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from models.stored_toy import NEAR, auto, output, said
from transformers import AutoConfig

from leanformer.attention.hf.attach import attach, attached, detach
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.families import FAMILIES, OWN_ATTENTION
from leanformer.models.io.quiet import quiet
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS


@pytest.mark.parametrize("family", [one for one in FAMILIES if one not in OWN_ATTENTION])
@pytest.mark.parametrize("lean", [False, True])
def test_every_family_and_every_shape(family: str, lean: bool, tmp_path: Path) -> None:
    model, tokenizer = tiny_model(family)
    if lean:
        keep_neurons(model, {1: [3, 4]})
    plain = type(model.config)
    attach(model, NEAR)
    save_model(model, tokenizer, tmp_path / "m")
    expected = f"leanformer-{'lean-' if lean else ''}{family}"
    assert said(tmp_path / "m")["model_type"] == expected
    again = auto(tmp_path / "m")
    assert torch.equal(output(again, tokenizer), output(model, tokenizer))
    assert attached(again).keys() == attached(model).keys()
    detach(again)
    assert type(again.config) is plain
    save_model(again, tokenizer, tmp_path / "dense")
    assert said(tmp_path / "dense")["model_type"] == expected.removeprefix("leanformer-")
    assert "quantization_config" not in said(tmp_path / "dense")
    detach(model)
    assert torch.equal(output(auto(tmp_path / "dense"), tokenizer), output(model, tokenizer))


def test_an_attended_decoder_generates_as_before(tmp_path: Path) -> None:
    model, tokenizer = tiny_model("llama", head="causal")
    attach(model, NEAR)
    save_model(model, tokenizer, tmp_path / "m")
    again = auto(tmp_path / "m", "AutoModelForCausalLM")
    inputs = tokenizer(list(TEXTS[:2]), padding=True, padding_side="left", return_tensors="pt")
    settings = {"max_new_tokens": 8, "do_sample": False}
    assert torch.equal(again.generate(**inputs, **settings), model.generate(**inputs, **settings))
    assert again.generation_config == model.generation_config


SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32,
    "vocab_size": 60, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("model_type", "settings"),
    [
        ("mixtral", {"num_key_value_heads": 2, "num_local_experts": 2, "head_dim": 8}),
        ("qwen3", {"num_key_value_heads": 2, "head_dim": 8}),
        ("camembert", {}),
        ("nomic_bert", {}),
    ],
)
def test_architectures_beyond_the_known_families(
    model_type: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    config = AutoConfig.for_model(model_type, **SMALL, **settings)
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    attach(model, NEAR)
    with quiet():
        model.save_pretrained(tmp_path)
    assert said(tmp_path)["model_type"] == f"leanformer-{model_type}"
    again = auto(tmp_path, "AutoModel")
    inputs = {"input_ids": torch.arange(3, 20)[None]}
    with torch.no_grad():
        assert torch.equal(again(**inputs)[0], model(**inputs)[0])
