"""Tiny random models with matching tokenizers, built in code: tests and examples run on them.

Every model has 3 layers (ModernBERT 4, so that local and global attention alternate), width 32, 4
heads of 8 and 48 FFN neurons. Biases and norms are random too: at zero they would hide mistakes in
what is cut.
"""

from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM
from transformers import AutoModelForSequenceClassification as Classifier
from transformers import AutoModelForTokenClassification as Tagger

from leanformer.models.families import FAMILIES
from leanformer.models.tiny_tokenizers import tiny_tokenizer

_WIDTHS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_SPECIFIC: dict[str, dict[str, Any]] = {
    "roberta": {"max_position_embeddings": 66, "type_vocab_size": 1},
    "xlm-roberta": {"max_position_embeddings": 66, "type_vocab_size": 1},
    "distilbert": {"hidden_dim": 48},
    "electra": {"embedding_size": 16},
    "mpnet": {"max_position_embeddings": 66},
    "deberta-v2": {
        "relative_attention": True,
        "position_buckets": 4,
        "pos_att_type": "p2c|c2p",
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": {"num_hidden_layers": 4, "local_attention": 8, "reference_compile": False},
    "gpt2": {"n_inner": 48, "n_positions": 64},
    "llama": {"num_key_value_heads": 2},
}
_HEADS: dict[str, Any] = {
    "classification": Classifier,
    "tokens": Tagger,
    "embedding": AutoModel,
    "masked": AutoModelForMaskedLM,
    "causal": AutoModelForCausalLM,
}


def tiny_model(
    family: str,
    *,
    head: str = "classification",
    num_labels: int = 3,
    seed: int = 0,
    **settings: Any,
) -> tuple[Any, Any]:
    """A random model in evaluation mode and its tokenizer.

    Args:
        family: One of `FAMILIES`.
        head: "classification", "tokens", "embedding" (no head), "masked" or "causal".
        num_labels: Labels of the first two heads.
        seed: Seed of the weights.
        settings: Fields of the family's configuration to set otherwise.

    Raises:
        ValueError: No such family or head.
    """
    if family not in FAMILIES:
        raise ValueError(f"family {family!r} is not one of {', '.join(FAMILIES)}")
    if head not in _HEADS:
        raise ValueError(f"head {head!r} is not one of {', '.join(_HEADS)}")
    tokenizer = tiny_tokenizer(family)
    fields = {**_WIDTHS, **_SPECIFIC.get(family, {}), **_ids(tokenizer), **settings}
    if family in ("gpt2", "distilbert"):
        fields.pop("intermediate_size")
    if head in ("classification", "tokens"):
        fields["num_labels"] = num_labels
    config = AutoConfig.for_model(family, **{"vocab_size": len(tokenizer), **fields})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _HEADS[head].from_config(config)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval(), tokenizer


def _ids(tokenizer: Any) -> dict[str, int]:
    """The special ids that the configuration must repeat."""
    names = ("pad", "bos", "eos", "cls", "sep")
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id", None) for name in names}
    return {name: number for name, number in ids.items() if number is not None}
