"""A folder makes transformers neither fetch nor run anything that is not its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from leanformer.models.io.checkpoint import read_checkpoint
from leanformer.models.io.foreign import refuse_foreign
from leanformer.models.io.load import has_head, load_model
from leanformer.models.io.save import save_model
from leanformer.models.tiny import tiny_model

KERNEL = "kernels-community/vllm-flash-attn3"
KNOWN = "known are eager, sdpa, flex_attention; remove the field"


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"_attn_implementation": KERNEL}, rf"_attn_implementation is '{KERNEL}', .*; {KNOWN}"),
        ({"attn_implementation": "flash_attention_2"}, "is 'flash_attention_2', which may be"),
        ({"attn_implementation": "paged|eager"}, r"is 'paged\|eager'"),
        ({"_attn_implementation": {"": "sdpa", "text_config": KERNEL}}, f"is '{KERNEL}'"),
        ({"text_config": {"_attn_implementation": KERNEL}}, f"is '{KERNEL}'"),
        ({"a": [{"b": {"attn_implementation": KERNEL}}]}, f"is '{KERNEL}'"),
        ({"_attn_implementation": ["sdpa"]}, r"is \['sdpa'\]"),
        ({"_experts_implementation": KERNEL}, "_experts_implementation is .*grouped_mm"),
        ({"experts_implementation": "me/mine"}, "experts_implementation is 'me/mine'"),
        ({"auto_map": {"AutoModel": "you/yours--modeling.Mine"}}, "auto_map names code"),
        ({"text_config": {"auto_map": {"AutoModel": "modeling.Mine"}}}, "auto_map names code"),
        ({"fusion_config": {"a": True}}, "fusion_config swaps modules"),
        ({"kernel_config": {"RMSNorm": "you/yours"}}, "kernel_config swaps modules"),
        ({"per_layer_config": {"0": {"intermediate_size": 1}}}, "per_layer_config gives layers"),
        ({"configuration_files": ["config.9.json"]}, "configuration_files names another file"),
        ({"transformers_weights": "../x.safetensors"}, "transformers_weights names another"),
        ({"compression_config": {}, "quantization_config": {"quant_method": "gptq"}}, "'gptq'"),
        ({"quantization_config": {"quant_method": "leanformers"}}, "of 'leanformers', a quant"),
        ({"text_config": {"quantization_config": {"quant_method": "fp8"}}}, "of 'fp8', a quant"),
        ({"quantization_config": "awq"}, "of 'awq', a quantizer that leanformer does not run"),
        ({"compression_config": {"quant_method": "x"}}, "compression_config belongs to another"),
        ({"dtype": "load"}, "dtype is 'load', which is not one of float16, bfloat16"),
        ({"torch_dtype": "torch.float32"}, "torch_dtype is 'torch.float32', which is not one of"),
        ({"n_layer": 10**9}, "n_layer is 1000000000, and at most 10000 are read"),
        ({"num_labels": 1e9}, "num_labels is 1000000000.0, and at most 1000000 are read"),
    ],
)
def test_fields_of_config_json(config: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"config\.json: .*{match}"):
        refuse_foreign(tmp_path, config)


@pytest.mark.parametrize(
    "config",
    [
        {"_attn_implementation": "eager", "_experts_implementation": None, "dtype": "bfloat16"},
        {"attn_implementation": {"": "sdpa", "text_config": None}, "quantization_config": None},
        {"quantization_config": {"stored_as": "leanformer-attention"}, "torch_dtype": None},
        {"id2label": {"0": {"auto_map": 1}}, "label2id": {"auto_map": 0}, "auto_map": {}},
    ],
)
def test_what_is_no_reference_passes(config: dict[str, Any], tmp_path: Path) -> None:
    refuse_foreign(tmp_path, config)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"auto_map": ["tokenization.Mine", None]}, "auto_map names code"),
        ({"fast_tokenizer_files": ["tokenizer.9.json"]}, "names another file to be read"),
        ({"gguf_file": "../model.gguf"}, "gguf_file names another file"),
        ({"tokenizer_object": {}, "init_inputs": [{"a": 1}]}, "init_inputs gives arguments"),
        ({"tokenizer_object": "x"}, "tokenizer_object stands for"),
        ({"trust_remote_code": True}, "trust_remote_code asks for code"),
    ],
)
def test_fields_of_tokenizer_config_json(
    settings: dict[str, Any], match: str, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=rf"tokenizer_config\.json: .*{match}"):
        refuse_foreign(tmp_path, {})


def test_adapters_and_functions_of_the_folders_own(tmp_path: Path) -> None:
    (tmp_path / "custom_generate").mkdir()
    (tmp_path / "custom_generate" / "generate.py").write_text("raise SystemExit")
    with pytest.raises(ValueError, match="custom_generate: the folder holds a generate function"):
        refuse_foreign(tmp_path, {})
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "you/yours"}')
    with pytest.raises(
        ValueError, match=r"adapter_config\.json: .*whose base model would be fetched"
    ):
        refuse_foreign(tmp_path, {})


def test_it_is_found_before_transformers_reads_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(*tiny_model("bert"), tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["_attn_implementation"] = KERNEL
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))

    def asked(*_args: Any, **_kwargs: Any) -> None:
        pytest.fail("transformers was asked")

    for auto in ("AutoConfig", "AutoTokenizer", "AutoModelForSequenceClassification"):
        monkeypatch.setattr(f"transformers.{auto}.from_pretrained", asked)
    for opened in (load_model, has_head):
        with pytest.raises(ValueError, match=f"config.json: _attn_implementation is '{KERNEL}'"):
            opened(tmp_path / "m", "classification")


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "generation_config.json",
    ],
)
def test_json_is_read_to_a_depth(name: str, tmp_path: Path) -> None:
    save_model(*tiny_model("gpt2"), tmp_path / "m")
    (tmp_path / "m" / name).write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(ValueError, match=f"{name} is not valid JSON: it is nested too deeply"):
        read_checkpoint(tmp_path / "m")
