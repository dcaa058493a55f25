"""A converted Reformer against transformers' own, in float64: both attentions, rings of chunks."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import ReformerConfig, ReformerModel, ReformerModelWithLMHead

from leanformer.attention.convert import convert
from leanformer.attention.convert.reformer import ring

CHUNK = 4


def reformer(kinds: list[str], **settings: Any) -> Any:
    """Layers with chunks of 4 tokens; hashes are drawn under a seed."""
    said = {
        "attn_layers": kinds, "hidden_size": 32, "num_attention_heads": 4,
        "attention_head_size": 8, "feed_forward_size": 48, "vocab_size": 60,
        "axial_pos_embds": False, "max_position_embeddings": 64, "num_buckets": 4,
        "num_hashes": 1, "hash_seed": 3, "lsh_attn_chunk_length": CHUNK,
        "local_attn_chunk_length": CHUNK, "hidden_dropout_prob": 0.0, "is_decoder": False,
        "lsh_attention_probs_dropout_prob": 0.0, "local_attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    config = ReformerConfig(**{**said, **settings})
    build: Any = ReformerModelWithLMHead if config.is_decoder else ReformerModel
    model = build(config).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def pair(kinds: list[str], **settings: Any) -> tuple[Any, Any]:
    """The same converted, and theirs."""
    theirs = reformer(kinds, **settings)
    ours = copy.deepcopy(theirs)
    assert len(convert(ours).layers) == len(kinds)
    return ours, theirs


def texts(length: int, *, hidden: bool) -> dict[str, Tensor]:
    """Two texts; of the second the end may be hidden, and with it whole chunks."""
    ids = torch.randint(5, 60, (2, length), generator=torch.Generator().manual_seed(length))
    mask = torch.ones_like(ids)
    if hidden:
        mask[1, length // 3 :] = 0
    return {"input_ids": ids, "attention_mask": mask}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("decoder", [False, True])
@pytest.mark.parametrize(
    ("kinds", "settings"),
    [
        (["local", "local"], {}),
        (["local"], {"local_num_chunks_before": 2, "local_num_chunks_after": 1}),
        (["lsh", "lsh"], {}),
        (["lsh"], {"num_hashes": 3, "lsh_num_chunks_after": 1}),
        (["lsh", "local"], {"num_hashes": 2, "num_buckets": [2, 4]}),
    ],
)
def test_it_equals_transformers_and_so_do_its_gradients(
    kinds: list[str], settings: dict[str, Any], decoder: bool, hidden: bool
) -> None:
    if decoder:
        settings = {**settings, "is_decoder": True, "lsh_num_chunks_after": 0}
        settings["local_num_chunks_after"] = 0
    ours, theirs = pair(kinds, **settings)
    inputs = texts(24, hidden=hidden)
    said = [model.train()(**inputs)[0] for model in (ours, theirs)]
    torch.testing.assert_close(*said, rtol=1e-5, atol=1e-6)  # rows of nothing are rounded at -1e9
    said = [one[inputs["attention_mask"].bool()] for one in said]
    torch.testing.assert_close(*said, rtol=1e-9, atol=1e-9)
    for result in said:  # the reversible layers run again here
        result.square().mean().backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if other.grad is None:
            assert one.grad is None, name
            continue
        biggest = max(float(other.grad.abs().max()), 1)
        torch.testing.assert_close(
            one.grad, other.grad, rtol=1e-7, atol=1e-8 * biggest, msg=f"{name}: gradients differ"
        )


@pytest.mark.parametrize("length", [3, 4, 8, 13])
def test_texts_of_any_length(length: int) -> None:
    """One chunk, two, and what transformers pads."""
    ours, theirs = pair(["lsh", "local"])
    found, expected = (model(**texts(length, hidden=False))[0] for model in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_decoding_goes_on_from_a_cache() -> None:
    """With LSH transformers' own code fails here."""
    settings = {"is_decoder": True, "local_num_chunks_after": 0}
    ours, theirs = pair(["local", "local"], **settings)
    ids = texts(8, hidden=False)["input_ids"]
    said = [model.generate(ids, max_new_tokens=6, do_sample=False) for model in (ours, theirs)]
    assert said[0].shape == (2, 14)
    assert torch.equal(*said)


def test_weights_are_written_down_where_they_are_asked_for() -> None:
    ours, theirs = pair(["lsh", "local"])
    inputs = texts(16, hidden=True)
    found, expected = (model(**inputs, output_attentions=True) for model in (ours, theirs))
    for one, other in zip(found.attentions, expected.attentions, strict=True):
        torch.testing.assert_close(one, other)
    kept = inputs["attention_mask"].bool()
    torch.testing.assert_close(ours(**inputs)[0][kept], expected[0][kept], rtol=1e-9, atol=1e-9)


def test_parameters_have_their_names_and_are_the_same_tensors() -> None:
    model = reformer(["lsh", "local"])
    before = {name: x.data_ptr() for name, x in model.state_dict().items()}
    convert(model)
    assert {name: x.data_ptr() for name, x in model.state_dict().items()} == before


def test_chunks_are_a_ring() -> None:
    assert ring(0, 5, 1, 1) == [4, 0, 1]
    assert ring(4, 5, 1, 2) == [3, 4, 0, 1]
