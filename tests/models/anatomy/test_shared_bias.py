"""Layers of an MPNet take the columns of their own heads of the bias that all share."""

import copy
import pickle
from typing import Any

import pytest
import torch

from leanformer.models.anatomy import anatomy_of
from leanformer.models.anatomy.shared_bias import bias_heads
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS


def columns(model: Any) -> list[list[int]]:
    anatomy = anatomy_of(model)
    return [bias_heads(anatomy, layer) for layer in anatomy.layers(model)]


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(**tokenizer(list(TEXTS), padding=True, return_tensors="pt"))[0]
    return found


def test_columns_follow_the_heads_through_several_cuts() -> None:
    model, _ = tiny_model("mpnet")
    assert columns(model) == [[0, 1, 2, 3]] * 3
    keep_heads(model, [[1, 2, 3], [0, 1, 2, 3], [3]])
    keep_heads(model, [[0, 2], [2, 3], [0]])
    assert columns(model) == [[1, 3], [2, 3], [3]] == model.config.lean["bias_heads"]
    assert model.mpnet.encoder.relative_attention_bias.weight.shape == (32, 4)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_takes_its_own_columns(again: Any) -> None:
    model, tokenizer = tiny_model("mpnet")
    keep_heads(model, [[1, 2, 3], [0], [3]])
    expected, other = logits(model, tokenizer), again(model)
    assert torch.equal(logits(other, tokenizer), expected)
    keep_heads(other, {0: [1]})
    assert torch.equal(logits(model, tokenizer), expected)


@pytest.mark.parametrize("settings", [
    {"share_att_key": True},
    {"pos_att_type": "c2p"},
    {"pos_att_type": "p2c"},
    {"position_buckets": -1, "max_relative_positions": 16},
    {"relative_attention": False, "position_biased_input": True, "pos_att_type": None},
    {"conv_kernel_size": 3, "type_vocab_size": 2},
])  # fmt: skip
def test_heads_of_any_deberta_go_with_their_positions(settings: dict[str, Any]) -> None:
    model, tokenizer = tiny_model("deberta-v2", **settings)
    model, keep = model.double(), [[0, 2], [1], [0, 1, 3]]
    anatomy = anatomy_of(model)
    handles = []
    for layer, kept in zip(anatomy.layers(model), keep, strict=True):
        mask = torch.zeros(32, dtype=torch.float64)
        mask.view(4, 8)[kept] = 1
        handles.append(
            anatomy.head_point(layer).register_forward_pre_hook(
                lambda _module, inputs, mask=mask: (inputs[0] * mask,)
            )
        )
    expected = logits(model, tokenizer)
    for handle in handles:
        handle.remove()
    keep_heads(model, keep)
    torch.testing.assert_close(logits(model, tokenizer), expected, rtol=0, atol=1e-10)
    for layer, kept in zip(anatomy.layers(model), keep, strict=True):
        for name in ("pos_key_proj", "pos_query_proj"):
            projection = getattr(anatomy.attention(layer), name, None)
            assert projection is None or projection.out_features == 8 * len(kept)
