"""The oracle of surgery: a model with parts masked by hooks equals the model with these parts cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from leanformer.models.anatomy import anatomy_of
from leanformer.models.anatomy.shape import shape_of
from leanformer.models.cutting.ffn import keep_neurons
from leanformer.models.cutting.heads import keep_heads
from leanformer.models.cutting.layers import keep_layers
from leanformer.models.families import FAMILIES, OWN_ATTENTION
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS

EXACT = {"rtol": 0.0, "atol": 1e-10}
HEADS = {False: [[0, 2], [1], [0, 1, 3], [3]], True: [[0, 2], [2, 3], [1, 3], [0, 1, 2, 3]]}


def build(family: str, attention: str = "eager", head: str = "classification") -> tuple[Any, Any]:
    model, tokenizer = tiny_model(family, head=head)
    model = model.double()
    model.set_attn_implementation(attention)
    # lengths differ by less than ModernBERT's local window: in float64 its eager attention gives
    # NaN for padding that sees no token at all, before surgery as after it
    batch = tokenizer(list(TEXTS[:3]), padding=True, return_tensors="pt")
    assert (batch["attention_mask"] == 0).any()
    return model, batch


def answer(model: Any, batch: Any) -> torch.Tensor:
    """The output at the tokens that are not padding."""
    output = model(**batch)
    values = output.logits if hasattr(output, "logits") else output.last_hidden_state
    return values if values.dim() == 2 else values[batch["attention_mask"].bool()]


def heads_to_keep(family: str, model: Any) -> list[list[int]]:
    return HEADS[family == "llama"][: len(anatomy_of(model).layers(model))]


@contextmanager
def masked(points: list[tuple[nn.Module, torch.Tensor]]) -> Iterator[None]:
    """Multiplies the inputs of modules by masks."""
    handles = [
        point.register_forward_pre_hook(lambda _module, inputs, mask=mask: (inputs[0] * mask,))
        for point, mask in points
    ]
    yield
    for handle in handles:
        handle.remove()


def head_masks(model: Any, keep: list[list[int]]) -> list[tuple[nn.Module, torch.Tensor]]:
    anatomy = anatomy_of(model)
    points = []
    for layer, kept in zip(anatomy.layers(model), keep, strict=True):
        mask = torch.zeros(anatomy.heads(layer), anatomy.head_dim(layer), dtype=torch.float64)
        mask[kept] = 1.0
        points.append((anatomy.head_point(layer), mask.flatten()))
    return points


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_cut_heads_equal_masked_heads(family: str, attention: str) -> None:
    model, batch = build(family, attention)
    keep = heads_to_keep(family, model)
    whole = answer(model, batch)
    with masked(head_masks(model, keep)):
        expected = answer(model, batch)
    assert not torch.allclose(whole, expected)

    keep_heads(model, keep)

    torch.testing.assert_close(answer(model, batch), expected, **EXACT)
    assert shape_of(model).heads == tuple(len(heads) for heads in keep)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", FAMILIES)
def test_cut_neurons_equal_masked_neurons(family: str, attention: str) -> None:
    model, batch = build(family, attention)
    anatomy = anatomy_of(model)
    layers = anatomy.layers(model)
    keep = [torch.randperm(48)[: 7 + 5 * number].tolist() for number in range(len(layers))]
    points = []
    for layer, kept in zip(layers, keep, strict=True):
        mask = torch.zeros(48, dtype=torch.float64)
        mask[kept] = 1.0
        points.append((anatomy.ffn_point(layer), mask))
    with masked(points):
        expected = answer(model, batch)

    keep_neurons(model, keep)

    torch.testing.assert_close(answer(model, batch), expected, **EXACT)
    assert shape_of(model).ffn == tuple(len(neurons) for neurons in keep)


@pytest.mark.parametrize("keep", [[0, 2], [1, 2], [1]])
@pytest.mark.parametrize("family", FAMILIES)
def test_cut_layers_equal_skipped_layers(
    family: str, keep: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = build(family)
    layers = anatomy_of(model).layers(model)

    def skip(hidden: torch.Tensor, *_args: Any, **_kwargs: Any) -> Any:
        return (hidden, None) if family in OWN_ATTENTION else hidden

    with monkeypatch.context() as patch:
        for number, layer in enumerate(layers):
            if number not in keep:
                patch.setattr(layer, "forward", skip)
        expected = answer(model, batch)

    keep_layers(model, keep)

    torch.testing.assert_close(answer(model, batch), expected, **EXACT)
    assert shape_of(model).layers == model.config.num_hidden_layers == len(keep)


HEADED = [
    (family, head)
    for family in FAMILIES
    for head in ("tokens", "embedding", "causal" if family in ("gpt2", "llama") else "masked")
]


@pytest.mark.parametrize(("family", "head"), HEADED)
def test_surgery_under_any_head_and_gradients_flow(family: str, head: str) -> None:
    model, batch = build(family, "sdpa", head)
    keep = heads_to_keep(family, model)
    with masked(head_masks(model, keep)):
        expected = answer(model, batch)

    keep_heads(model, keep)

    got = answer(model, batch)
    torch.testing.assert_close(got, expected, **EXACT)
    got.square().sum().backward()
    for layer in anatomy_of(model).layers(model):
        # the bias of the keys shifts all scores of a query alike, so it alone has no gradient
        gradients = {name: p.grad for name, p in layer.named_parameters() if "bias" not in name}
        assert all(grad is not None and grad.abs().sum() > 0 for grad in gradients.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_shrinking_twice_is_shrinking_once(family: str) -> None:
    twice, batch = build(family)
    once, _ = build(family)
    keep_neurons(twice, {0: range(0, 40, 2)})
    keep_heads(twice, {1: [0, 2]})
    keep_layers(twice, [0, 1])
    keep_neurons(twice, [range(1, 20, 3), [5]])
    keep_heads(twice, {1: [1]} if family != "llama" else {1: [0]})

    keep_layers(once, [0, 1])
    keep_neurons(once, [range(2, 40, 6), [5]])
    keep_heads(once, {1: [2]} if family != "llama" else {1: [0]})

    assert shape_of(twice) == shape_of(once)
    torch.testing.assert_close(answer(twice, batch), answer(once, batch), **EXACT)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_shrunk_decoder_generates_with_its_cache_as_without(family: str) -> None:
    model, tokenizer = tiny_model(family, head="causal")
    keep_layers(model, [0, 2])
    keep_heads(model, {1: [0, 1]} if family == "llama" else {1: [0, 1, 3]})
    batch = tokenizer([TEXTS[0]], return_tensors="pt")
    settings = {"max_new_tokens": 6, "do_sample": False}
    cached = model.generate(**batch, **settings, use_cache=True)
    torch.testing.assert_close(cached, model.generate(**batch, **settings, use_cache=False))


def test_frozen_parameters_stay_frozen() -> None:
    model, _ = build("bert")
    model.bert.encoder.layer[0].intermediate.dense.weight.requires_grad_(False)
    keep_neurons(model, {0: range(9)})
    assert not model.bert.encoder.layer[0].intermediate.dense.weight.requires_grad
    assert model.bert.encoder.layer[0].output.dense.weight.requires_grad
