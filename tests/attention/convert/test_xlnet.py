"""A converted XLNet against transformers' own, in float64: streams, memories, segments, masks."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import XLNetConfig, XLNetLMHeadModel
from transformers.models.xlnet.modeling_xlnet import XLNetRelativeAttention

from leanformer.attention.convert import convert
from leanformer.attention.convert.xlnet import shifted


def xlnet(**settings: Any) -> Any:
    """Two layers."""
    said = {
        "d_model": 32, "n_head": 4, "n_layer": 2, "d_inner": 48, "vocab_size": 60, "dropout": 0.0,
    }  # fmt: skip
    model = XLNetLMHeadModel(XLNetConfig(**{**said, **settings})).double().eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model


def texts(case: str) -> dict[str, Tensor]:
    """Two texts of 9 tokens, the second padded on the left."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 60, (2, 9), generator=generator)
    given = {"input_ids": ids}
    if case == "plain":
        return given
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    given |= {"attention_mask": mask, "token_type_ids": (torch.arange(9) > 4).long().expand(2, -1)}
    if case == "two streams":
        order = torch.rand(2, 9, 9, generator=generator, dtype=torch.float64) > 0.5
        target = torch.zeros(2, 3, 9, dtype=torch.float64)
        target[:, torch.arange(3), torch.tensor([8, 2, 5])] = 1
        given |= {"perm_mask": order.double(), "target_mapping": target}
    return given


def pair(**settings: Any) -> tuple[Any, Any]:
    """Theirs, and the same converted."""
    theirs = xlnet(**settings)
    ours = copy.deepcopy(theirs)
    assert convert(ours).layers == tuple(f"transformer.layer.{n}.rel_attn" for n in range(2))
    return ours, theirs


# transformers' own code fails on a mask where attention is causal ("uni")
@pytest.mark.parametrize(("case", "kind"), [("plain", "bi"), ("plain", "uni"), ("masked", "bi")])
def test_it_equals_transformers_and_so_do_its_gradients(case: str, kind: str) -> None:
    ours, theirs = pair(attn_type=kind)
    found, expected = (model(**texts(case)).logits for model in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    for result in (found, expected):
        result.square().sum().backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if other.grad is None:
            assert one.grad is None, name
            continue
        biggest = max(float(other.grad.abs().max()), 1)
        torch.testing.assert_close(
            one.grad, other.grad, rtol=1e-9, atol=1e-9 * biggest, msg=f"{name}: gradients differ"
        )


def test_two_streams_are_equal_in_single_precision() -> None:
    """transformers embeds distances in float32 there."""
    ours, theirs = (model.float() for model in pair())
    inputs = {
        name: x.float() if x.is_floating_point() else x for name, x in texts("two streams").items()
    }
    found, expected = (model(**inputs).logits for model in (ours, theirs))
    assert found.shape == (2, 3, 60)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_text_goes_on_from_memories() -> None:
    ours, theirs = pair(mem_len=12)
    said = []
    for model in (ours, theirs):
        first = model(**texts("plain"), use_mems=True)
        said.append(model(**texts("masked"), mems=first.mems, use_mems=True).logits)
    torch.testing.assert_close(*said, rtol=1e-10, atol=1e-10)


def test_parameters_have_their_names_and_are_the_same_tensors() -> None:
    model = xlnet()
    before = {name: x.data_ptr() for name, x in model.state_dict().items()}
    convert(model)
    assert {name: x.data_ptr() for name, x in model.state_dict().items()} == before


def test_weights_are_written_down_where_they_are_asked_for() -> None:
    ours, theirs = pair()
    found, expected = (model(**texts("masked"), output_attentions=True) for model in (ours, theirs))
    for one, other in zip(found.attentions, expected.attentions, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_weights_are_dropped_in_training_alone() -> None:
    ours, _ = pair(dropout=0.5)
    layer = ours.get_submodule("transformer.layer.0.rel_attn")
    generator = torch.Generator().manual_seed(0)
    q, k, v, r = (
        torch.randn(length, 2, 4, 8, generator=generator, dtype=torch.float64)
        for length in (5, 5, 5, 10)
    )
    exact = layer.rel_attn_core(q, k, v, r)
    assert torch.equal(layer.rel_attn_core(q, k, v, r), exact)
    layer.train()
    torch.manual_seed(0)
    several = torch.stack([layer.rel_attn_core(q, k, v, r).detach() for _ in range(2000)])
    off = (several.mean(0) - exact).abs() / (several.std(0) / 2000**0.5).clamp(min=1e-12)
    assert off.mean() < 1.5  # of a normal variable it is 0.8


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (5, 5), (3, 8)])
def test_distances_are_shifted_without_a_copy(queries: int, keys: int) -> None:
    product = torch.randn(2, 3, queries, queries + keys)
    found = shifted(product, keys)
    assert torch.equal(found, XLNetRelativeAttention.rel_shift_bnij(product, keys))
    assert found.untyped_storage().data_ptr() == product.untyped_storage().data_ptr()
