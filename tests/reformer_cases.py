"""Small Reformers for tests: transformers' own and the same converted, and texts for them."""

import copy
from typing import Any

import torch
from convert_cases import EXACT, randomised
from torch import Tensor
from transformers import ReformerConfig, ReformerModel

from leanformer.attention.convert import convert

NO_DROPOUT = {
    "hidden_dropout_prob": 0.0, "local_attention_probs_dropout_prob": 0.0,
    "lsh_attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def config(**settings: Any) -> ReformerConfig:
    """Four small layers, two of each kind."""
    said = {
        "hidden_size": 32, "num_attention_heads": 4, "attention_head_size": 8,
        "attn_layers": ["local", "lsh", "lsh", "local"], "feed_forward_size": 48, "vocab_size": 60,
        "axial_pos_embds": False, "max_position_embeddings": 2048, "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 8, "num_buckets": 4, "num_hashes": 1, "pad_token_id": 1,
        **NO_DROPOUT,
    }  # fmt: skip
    return ReformerConfig(**{**said, **settings})


def both(**settings: Any) -> tuple[Any, Any]:
    """transformers' model, and the same converted."""
    theirs = randomised(ReformerModel(config(**settings)))
    ours = copy.deepcopy(theirs)
    layers = convert(ours).layers
    count = len(theirs.encoder.layers)
    assert layers == tuple(f"encoder.layers.{n}.attention.self_attention" for n in range(count))
    return theirs, ours


def texts(length: int, *, hidden: bool) -> dict[str, Tensor]:
    """Three texts: the second may end early, the third begin late."""
    ids = torch.randint(5, 60, (3, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    if hidden:
        mask[1, (length + 1) // 3 :] = 0
        mask[2, : length // 2] = 0
    return {"input_ids": ids, "attention_mask": mask}


def agree(theirs: Any, ours: Any, inputs: dict[str, Any], **close: float) -> None:
    """All hidden states are equal, if both draw the same rotations."""
    outputs = []
    for model in (ours, theirs):
        torch.manual_seed(1)
        outputs.append(model(**inputs, output_hidden_states=True, use_cache=False))
    for one, other in zip(*(output.hidden_states for output in outputs), strict=True):
        torch.testing.assert_close(one, other, **(close or EXACT))
    torch.testing.assert_close(*(x.last_hidden_state for x in outputs), **(close or EXACT))
