from typing import Any

import pytest
import torch
from torch import Tensor, nn
from train.memory.languages import DECODERS, ENCODERS, language_batch, language_model, step

from leanformer.models.tiny import tiny_model
from leanformer.train import Supervised
from leanformer.train.account.saved_tensors import saved_tensors
from leanformer.train.memory import CheckpointActivations, ChunkedCrossEntropy, SwapLayers
from leanformer.train.memory.checkpoint_activations import _policy, checkpointed


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, slope in expected.items():
        assert torch.equal(found[name], slope), name


@pytest.mark.parametrize("keep", ["nothing", "products", "attention"])
@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_gradients_are_equal_to_the_last_bit_with_dropout(
    family: str, implementation: str, keep: Any
) -> None:
    model, kind = language_model(family, attn_implementation=implementation)
    model.config.use_cache = False  # a cache lays keys out otherwise, and products round otherwise
    for module in model.modules():  # ModernBERT and Llama have none by default
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.1
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    value, slopes = step(model, loss, batch)
    drawn = torch.rand(())
    with CheckpointActivations(keep=keep).apply(model, loss):
        found, ours = step(model, loss, batch)
        assert torch.equal(torch.rand(()), drawn)  # what is drawn afterwards is the same too
    assert torch.equal(found, value)
    equal(ours, slopes)


@pytest.mark.parametrize("keep", ["nothing", "products"])
def test_precision_is_that_of_the_forward_pass(keep: Any) -> None:
    model, kind = language_model("bert")
    model.float()
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)

    def run() -> dict[str, Tensor]:
        torch.manual_seed(1)
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = loss.mean(model, batch)
        value.backward()  # outside, as in the loop
        return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    slopes = run()
    with CheckpointActivations(keep=keep).apply(model, loss):
        equal(run(), slopes)


def held(model: nn.Module, loss: Supervised, batch: Any) -> int:
    with saved_tensors(model) as kept:
        loss.mean(model, batch)
    return kept.bytes


def test_the_inputs_of_layers_are_all_that_is_held_of_them() -> None:
    model, kind = language_model("bert", num_hidden_layers=4)
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    plain = held(model, loss, batch)
    with CheckpointActivations().apply(model, loss):
        all_layers = held(model, loss, batch)
    with CheckpointActivations(every=2).apply(model, loss):
        half = held(model, loss, batch)
    first, _ = language_model("bert", num_hidden_layers=0)
    rest = held(first, loss, batch)
    inputs = 3 * 12 * 32 * 8
    assert all_layers <= rest + 4 * inputs + 2048  # the mask; small things that layers are given
    assert half == pytest.approx((plain + all_layers) / 2, rel=0.02)


def test_a_saver_beside_it_works_too_and_all_is_undone() -> None:
    model, kind = language_model("gpt2")
    batch, loss = language_batch(model.config.vocab_size), Supervised(kind)
    _, slopes = step(model, loss, batch)
    assert model.config.use_cache
    with (
        CheckpointActivations(every=2).apply(model, loss),
        ChunkedCrossEntropy(tokens=3).apply(model, loss),
    ):
        assert not model.config.use_cache
        patched = ["forward" in vars(layer) for layer in model.transformer.h]
        assert patched == [True, False, True]
        _, ours = step(model, loss, batch)
        start = {"input_ids": torch.tensor([[5, 6]])}
        made = model.eval().generate(**start, max_new_tokens=3, do_sample=False, use_cache=True)
        model.train()
    for name, slope in slopes.items():
        torch.testing.assert_close(ours[name], slope, rtol=1e-12, atol=1e-12)
    assert model.config.use_cache
    assert not any("forward" in vars(layer) for layer in model.transformer.h)
    assert torch.equal(made, model.eval().generate(**start, max_new_tokens=3, do_sample=False))


def test_a_cache_is_not_filled_by_a_layer_that_runs_twice() -> None:
    model, _ = tiny_model("llama", head="causal")
    model.train()
    batch = language_batch(model.config.vocab_size)
    model(**batch.inputs, use_cache=False).logits.sum().backward()
    slopes = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    with CheckpointActivations().apply(model, Supervised("causal-lm")):
        model(**batch.inputs, use_cache=True).logits.sum().backward()
    equal({n: p.grad for n, p in model.named_parameters()}, slopes)


class Scaled(nn.Module):
    """A layer that is none of transformers'."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 3)
        self.calls = 0

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        self.calls += 1
        return nn.functional.dropout(self.map(x).tanh() * scale, 0.5, self.training)


def test_a_layer_runs_again_only_where_gradients_are_asked_for() -> None:
    layer, x = Scaled(), torch.randn(2, 3, requires_grad=True)
    run = checkpointed(layer, layer.forward)
    run(x, scale=2.0).sum().backward()
    assert layer.calls == 2
    with torch.no_grad():
        run(x)
    layer.eval()
    run(x).sum().backward()
    assert layer.calls == 4


def test_layers_of_any_model_are_its_longest_list_and_a_model_without_is_refused() -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList(Scaled() for _ in range(3))
    with CheckpointActivations().apply(model, Supervised("causal-lm")):
        assert all("forward" in vars(block) for block in model.blocks)
    with (
        pytest.raises(ValueError, match="no layers were found in Linear"),
        CheckpointActivations().apply(nn.Linear(2, 2), Supervised("causal-lm")),
    ):
        raise AssertionError


@pytest.mark.parametrize("second", [CheckpointActivations(every=2), SwapLayers()])
def test_layers_are_checkpointed_once(second: Any) -> None:
    model, kind = language_model("gpt2")
    with (
        CheckpointActivations().apply(model, Supervised(kind)),
        pytest.raises(ValueError, match="the layers are checkpointed already"),
        second.apply(model, Supervised(kind)),
    ):
        raise AssertionError


def test_what_is_drawn_in_one_operation_is_held_so_that_the_rest_draws_the_same() -> None:
    """On a GPU, where fused attention draws its own dropout."""
    aten = torch.ops.aten
    found = {
        op: _policy(("aten::mm",), None, op).name.startswith("MUST")
        for op in (
            aten.mm.default,
            aten.native_dropout.default,
            aten._scaled_dot_product_flash_attention.default,
            aten.bernoulli_.float,
            aten.relu.default,
        )
    }
    assert list(found.values()) == [True, True, True, False, False]
