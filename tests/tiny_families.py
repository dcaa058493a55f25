"""transformers' model families, each shrunk by the names of what its configuration says."""

import copy
import inspect
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING

VOCABULARY = 99
LARGEST = 8_000_000  # parameters
# A number is made as small as this by the first rule that finds its name.
SIZES: tuple[tuple[str, int], ...] = (
    (r"vocab_size", VOCABULARY),
    (r"layers$|^n_layer$|num_blocks$|^depth$", 2),
    (r"key_value_heads|kv_heads|num_attention_groups", 2),
    (r"^n_heads?$|attention_heads$|num_heads$", 4),
    (r"intermediate_size|ffn_dim|^n_inner$|^d_ff$|mlp_dim|ffn_hidden_size|^d_inner$", 48),
    (r"lora_rank|head_dim|^d_kv$", 16),
    (r"^(d_model|n_embd|dim|embed_dim|emb_dim)$|embedding_size$|hidden_size$|hidden_dim$", 64),
    (r"position_embeddings$|^n_positions$|^n_ctx$|max_seq_len", 128),
    (r"(num|n)_(local_|routed_)?experts$|^moe_num_experts$", 4),
    (r"experts_per_tok|top_k$|moe_k$", 2),
    (r"n_group$|topk_group|n_shared_experts", 1),
    (r"^(mamba_)?chunk_size$|d_state$|state_size$", 16),
)
# Rules before these, tried in turn: some widths and heads are bound to what is not shrunk.
RECIPES: tuple[tuple[tuple[str, int], ...], ...] = (
    (),
    ((r"key_value_heads|kv_heads|num_attention_groups", 4),),
    ((r"heads", 2), (r"head_dim", 128), (r"hidden_size|n_embd|d_model", 256)),
    ((r"^num_key_value_heads", 2), (r"head_dim", 64), (r"hidden_size", 256)),
)
# What no name tells: lists with an entry a layer, and numbers that a default leaves open.
SAID: dict[str, dict[str, Any]] = {
    "bailing_hybrid": {"n_group": 1, "topk_group": 1, "num_experts": 4},
    "bamba": {"attn_layer_indices": [1]},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dory": {
        "num_hidden_layers": 3,
        "n_input_layers": 1,
        "n_recurrent_layers": 1,
        "n_output_layers": 1,
        "layer_types": ["full_attention"] * 3,
    },
    "dots1": {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "esm": {"pad_token_id": 1, "mask_token_id": 3},
    "gemma3n_text": {"num_kv_shared_layers": 0},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention"]},
    "jamba": {"attn_layer_offset": 1, "attn_layer_period": 2},
    "led": {"attention_window": 4},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 16},
    "nemotron_h": {"n_groups": 2},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba2": {"attention_hidden_size": 128, "attention_head_dim": 32},
}


def model_class(family: str) -> Any:
    """The class that `AutoModel` makes of this family."""
    found = MODEL_MAPPING[CONFIG_MAPPING[family]]
    return found[0] if isinstance(found, tuple) else found


def reads_text(family: str) -> bool:
    """Whether the family's model is called with token ids."""
    return "input_ids" in inspect.signature(model_class(family).forward).parameters


def tiny_family(family: str) -> Any:
    """A model of the family that reads `batch`, with two layers or one of each kind.

    Raises:
        RuntimeError: None can be made; the message has all reasons.
    """
    reasons: list[str] = []
    for model in candidates(family, reasons):
        try:
            with torch.no_grad():
                model(**batch(model))
        except Exception as error:
            reasons.append(_first_line(error))
            continue
        return model
    raise RuntimeError("; ".join(dict.fromkeys(reasons)))


def candidates(family: str, reasons: list[str]) -> Iterator[Any]:
    """Models of the family by one recipe after the other; why others failed goes to `reasons`."""
    for recipe in RECIPES:
        try:
            kind, config = model_class(family), CONFIG_MAPPING[family]
            values = shrunk(config(), (*recipe, *SIZES)) | SAID.get(family, {})
            model = _built(kind, config(**values))
        except Exception as error:
            reasons.append(_first_line(error))
            continue
        yield model


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _built(kind: Any, config: Any) -> Any:
    with torch.device("meta"):
        size = sum(p.numel() for p in kind(copy.deepcopy(config)).parameters())
    if size > LARGEST:
        raise ValueError(f"{size} parameters are not tiny")
    torch.manual_seed(0)
    model = kind(config).eval()
    _draw(model)
    return model


def _draw(model: nn.Module) -> None:
    """Weights that keep the variance, so that attention decides; nothing is neutral."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            drawn = torch.randn(weight.shape, generator=generator)
            if weight.dim() > 1:
                weight.copy_(drawn * weight[0].numel() ** -0.5)
            else:
                weight.add_(0.1 * drawn)


def shrunk(config: Any, rules: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """Arguments that make the same kind of configuration, smaller."""
    values: dict[str, Any] = dict(_sizes(config, rules))
    values |= _layers(config)
    if "kv_lora_rank" in vars(config):  # its keys are not shared by heads
        values["num_key_value_heads"] = values["num_attention_heads"]
    for key, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            values[key] = {"model_type": value.model_type, **shrunk(value, rules)}
    return values


def _sizes(config: Any, rules: tuple[tuple[str, int], ...]) -> Iterator[tuple[str, int]]:
    for key, value in vars(config).items():
        size = next((size for name, size in rules if re.search(name, key)), None)
        if value is None and re.search(r"^head_dim$|key_value_heads$|^vocab_size$", key):
            yield key, size
        elif not isinstance(value, int) or isinstance(value, bool):
            continue
        elif key.endswith(("_token_id", "token_index")):
            yield key, min(value, VOCABULARY - 1)
        elif size is not None and size < value:
            yield key, size


def _layers(config: Any) -> dict[str, Any]:
    """One layer of each kind, in every list that has an entry a layer."""
    kinds = getattr(config, "layer_types", None)
    if not kinds:
        return {}
    kept = sorted(kinds.index(kind) for kind in dict.fromkeys(kinds))
    kept = kept if len(kept) > 1 else [0, 1][: len(kinds)]
    lists = {
        key: [value[number] for number in kept]
        for key, value in vars(config).items()
        if isinstance(value, list) and len(value) == len(kinds)
    }
    return {**lists, "num_hidden_layers": len(kept)}


def batch(model: Any) -> dict[str, Tensor]:
    """Two texts, the second padded behind; a decoder reads half as much."""
    ids = torch.randint(5, 40, (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = ids[:, :6]
    return inputs
