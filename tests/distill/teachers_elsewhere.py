"""Tiny random teachers of architectures that are never cut, with their tokenizers, made in code."""

from typing import Any

import torch
from tokenizers import processors
from transformers import (
    AlbertTokenizer,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    GemmaTokenizer,
    Qwen2Tokenizer,
    T5Tokenizer,
)

from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS, tiny_tokenizer

ELSEWHERE = ("albert", "nomic_bert", "qwen3", "gemma", "gemma3_text")
CUTTABLE = ("deberta-v2", "mpnet", "xlm-roberta", "roberta", "modernbert")
TEACHERS = (*ELSEWHERE, *CUTTABLE)

_WIDTHS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_SPECIFIC: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "gemma3_text": {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 8},
    "t5": {
        "d_model": 32,
        "d_ff": 48,
        "d_kv": 8,
        "num_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
    },
}


def teacher_of(family: str, kind: str, seed: int = 0, **settings: Any) -> tuple[Any, Any]:
    """A random model of the architecture with a head for the kind of task, and its tokenizer."""
    labels = 1 if kind == "regression" else 2
    if family in FAMILIES:
        head = "embedding" if kind == "embedding" else "classification"
        return tiny_model(family, head=head, num_labels=labels, seed=seed, **settings)
    tokenizer = tokenizer_of(family)
    fields = {} if family == "t5" else dict(_WIDTHS)
    fields |= {**_SPECIFIC.get(family, {}), **_ids(tokenizer), **settings}
    if kind != "embedding":
        fields["num_labels"] = labels
    config = AutoConfig.for_model(family, vocab_size=len(tokenizer), **fields)
    auto = AutoModel if kind == "embedding" else AutoModelForSequenceClassification
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = auto.from_config(config)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval(), tokenizer


def tokenizer_of(family: str) -> Any:
    """The kind of tokenizer that models of the architecture have."""
    if family == "nomic_bert":
        return tiny_tokenizer("bert")
    if family == "albert":
        pieces = _pieces("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
        return AlbertTokenizer(vocab=pieces, model_max_length=64)
    if family == "t5":
        pieces = _pieces("<pad>", "</s>", "<unk>")
        return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=64)
    plain = tiny_tokenizer("gpt2")
    vocabulary, merges = plain.get_vocab(), _merges(plain)
    if family.startswith("gemma"):
        return _gemma()
    del vocabulary["<mask>"], vocabulary["<unk>"]
    pieces = {piece: number for number, piece in enumerate(sorted(vocabulary, key=vocabulary.get))}
    tokenizer = Qwen2Tokenizer(
        vocab={**pieces, "<|endoftext|>": len(pieces)}, merges=merges, model_max_length=64
    )
    tokenizer.padding_side = "left"
    return tokenizer


def ending_with(tokenizer: Any, token: str) -> Any:
    """`tokenizer` with `token` after every text, as Qwen3-Embedding's."""
    number = tokenizer.convert_tokens_to_ids(token)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {token}", pair=f"$A $B {token}", special_tokens=[(token, number)]
    )
    return tokenizer


def _gemma() -> Any:
    characters = sorted({*"".join(TEXTS), *"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"} - {" "})
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    octets = [f"<0x{number:02X}>" for number in range(256)]
    pieces = [*special, *octets, "▁", *characters, "th", "the", "▁a"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    merges = [("t", "h"), ("th", "e"), ("▁", "a")]
    return GemmaTokenizer(vocab=vocabulary, merges=merges, model_max_length=64)


def _pieces(*special: str) -> list[tuple[str, float]]:
    """The pieces of a Unigram model after these special tokens."""
    others = [entry for entry in _unigram() if entry[0] not in ("<s>", "<mask>", *special)]
    known = ("<pad>", "</s>", "<unk>")
    return [*((piece, 0.0) for piece in special), *(e for e in others if e[0] not in known)]


def _unigram() -> list[tuple[str, float]]:
    import json

    backend = json.loads(tiny_tokenizer("xlm-roberta").backend_tokenizer.to_str())
    return [(piece, score) for piece, score in backend["model"]["vocab"]]


def _merges(tokenizer: Any) -> list[tuple[str, str]]:
    import json

    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    return [tuple(merge) for merge in backend["model"]["merges"]]


def _ids(tokenizer: Any) -> dict[str, int]:
    names = ("pad", "bos", "eos", "cls", "sep")
    found = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id", None) for name in names}
    return {name: number for name, number in found.items() if number is not None}
