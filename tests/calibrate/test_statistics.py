from typing import Any

import pytest
import torch
from torch import Tensor, nn

from leanformer.calibrate.statistics import UnitStatistics, gather
from leanformer.data import Batch, Encoded, Examples, encode_examples
from leanformer.models.anatomy import anatomy_of
from leanformer.models.families import FAMILIES
from leanformer.models.tiny import tiny_model
from leanformer.models.tiny_tokenizers import TEXTS
from leanformer.train.loss import Supervised

LABELS = [0, 1, 2, 0, 1, 2]


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return Supervised("classification").mean(model, batch)


def batches(tokenizer: Any) -> list[Batch]:
    examples = Examples(texts=list(TEXTS[:6]), labels=LABELS)
    encoded: Encoded = encode_examples(examples, tokenizer, "classification", 32)
    return [encoded.batch([0, 1, 2]), encoded.batch([3, 4, 5])]


def naive(model: Any, point: Any, width: int, given: list[Batch]) -> tuple[Tensor, Tensor]:
    """Activation and Taylor scores of one point: each example alone, the gradient asked for."""
    squares, tokens, taylor = 0.0, 0, 0.0
    for batch in given:
        seen: list[Tensor] = []
        handle = point.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))  # noqa: B023
        value = loss(model, batch)
        handle.remove()
        (slope,) = torch.autograd.grad(value, seen)
        for row, mask in enumerate(batch.inputs["attention_mask"].bool()):
            x, dx = seen[0][row][mask].detach(), slope[row][mask]
            squares = squares + x.pow(2).sum(0)
            tokens += len(x)
            units = [
                (x * dx)[:, u * width : (u + 1) * width].sum() for u in range(x.shape[1] // width)
            ]
            taylor = taylor + torch.stack(units).abs()
    return (squares / tokens).sqrt(), taylor  # type: ignore[union-attr,operator,return-value]


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("gpt2", "llama")])
def test_statistics_equal_naive_ones_at_every_point(family: str) -> None:
    model, tokenizer = tiny_model(family)
    given = batches(tokenizer)
    heads, neurons = gather(model, given, loss)
    anatomy = anatomy_of(model)
    layers = anatomy.layers(model)
    assert len(heads) == len(neurons) == len(layers)
    for layer, ours, theirs in zip(layers, heads, neurons, strict=True):
        for point, found, width in (
            (anatomy.head_point(layer), ours, anatomy.head_dim(layer)),
            (anatomy.ffn_point(layer), theirs, 1),
        ):
            activation, taylor = naive(model, point, width, given)
            torch.testing.assert_close(found.activation, activation, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(found.taylor, taylor, rtol=1e-3, atol=1e-7)
            assert found.outgoing.shape == (32, len(activation))
            assert found.width == width


def test_transposed_weights_are_turned() -> None:
    model, tokenizer = tiny_model("gpt2")
    heads, neurons = gather(model, batches(tokenizer), loss)
    block = model.transformer.h[0]
    assert torch.equal(heads[0].outgoing, block.attn.c_proj.weight.T)
    assert torch.equal(neurons[0].outgoing, block.mlp.c_proj.weight.T)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails: bool) -> None:
    model, tokenizer = tiny_model("bert")
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}

    def broken(model: nn.Module, batch: Batch) -> Tensor:
        if fails and batch.index == (3, 4, 5):
            raise KeyboardInterrupt
        return loss(model, batch)

    try:
        gather(model, batches(tokenizer), broken)
    except KeyboardInterrupt:
        assert fails
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_frozen_weights_do_not_hide_the_gradient() -> None:
    model, tokenizer = tiny_model("bert")
    free, _ = gather(model, batches(tokenizer), loss)
    model.requires_grad_(False)
    frozen, _ = gather(model, batches(tokenizer), loss)
    for ours, theirs in zip(frozen, free, strict=True):
        torch.testing.assert_close(ours.taylor, theirs.taylor)


def test_units_have_the_width_of_their_channels() -> None:
    found = UnitStatistics(torch.ones(12), torch.ones(3), torch.ones(5, 12))
    assert found.width == 4
