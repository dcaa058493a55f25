from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import Tensor, nn
from train.memory.languages import language_batch, language_model
from train.toy import FAST, toy
from train.two_terms import same

from leanformer.data import Batch
from leanformer.models.tied import cpu_state
from leanformer.train import Supervised, fit
from leanformer.train.memory import ChunkedCrossEntropy, OffloadOptimizer, SwapLayers
from leanformer.train.memory.layers import layers_of
from leanformer.train.memory.swap_layers import Swap, _resident


def trained(
    memory: tuple[Any, ...], folder: Path | None = None, hooks: Any = (), **more: Any
) -> Any:
    model, encoded = toy(num_hidden_layers=2)
    model.to(shadow())
    setup = replace(FAST, memory=memory, steps=3, **more)
    loss = Supervised("classification")
    done = fit(model, encoded, loss, setup, folder=folder, hooks=hooks)
    assert {p.device.type for p in model.parameters()} == {"shadow"}
    assert not any("forward" in vars(module) for module in model.modules())
    return done.losses, cpu_state(model)


@pytest.mark.parametrize(
    ("memory", "tokens"), [((SwapLayers(),), 16384), ((SwapLayers(), OffloadOptimizer()), 40)]
)
def test_a_training_with_dropout_is_the_resident_one(memory: Any, tokens: int) -> None:
    """Also where a batch passes in parts, whose gradients are added."""
    losses, weights = trained((), max_tokens_per_microbatch=tokens)
    ours, others = trained(memory, max_tokens_per_microbatch=tokens)
    assert ours == losses
    if tokens == 16384:
        assert same(others, weights)
    for name, tensor in weights.items():
        torch.testing.assert_close(others[name], tensor, rtol=0, atol=1e-6)


def test_it_goes_on_after_a_kill(tmp_path: Path) -> None:
    losses, weights = trained((SwapLayers(),))

    def kill(model: nn.Module, progress: Any) -> None:
        layer = model.bert.encoder.layer[0]  # type: ignore[union-attr]
        assert {p.device.type for p in layer.parameters()} == {"cpu"}
        if progress.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained((SwapLayers(),), tmp_path / "c", (kill,))
    again, resumed = trained((SwapLayers(),), tmp_path / "c")
    assert again == losses
    assert same(resumed, weights)


@pytest.mark.parametrize("family", ["gpt2", "modernbert"])
def test_gradients_are_equal_to_the_last_bit(family: str) -> None:
    def slopes(memory: list[Any]) -> dict[str, Tensor]:
        model, kind = language_model(family)
        model.config.use_cache = False
        model.to(shadow())
        batch = language_batch(model.config.vocab_size)
        assert batch.labels is not None
        inputs = {name: tensor.to(shadow()) for name, tensor in batch.inputs.items()}
        batch = Batch(inputs, batch.labels.to(shadow()), batch.index)
        loss = Supervised(kind)
        with memory[0].apply(model, loss) if memory else torch.enable_grad():
            torch.manual_seed(1)
            loss.mean(model, batch).backward()
            with torch.no_grad():
                model.eval()(**inputs)
            return {n: p.grad.cpu().clone() for n, p in model.named_parameters()}

    expected, ours = slopes([]), slopes([SwapLayers()])
    assert ours.keys() == expected.keys()
    for name, slope in expected.items():
        assert torch.equal(ours[name], slope), name


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 4)
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.map(x) * self.frozen


class Blocks(nn.Module):
    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(Block() for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


def test_each_weight_crosses_the_bus_twice_and_its_gradient_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Swap] = []
    real = Swap.__init__

    def noted(swap: Swap, *arguments: Any) -> None:
        real(swap, *arguments)
        made.append(swap)

    monkeypatch.setattr(Swap, "__init__", noted)
    model = Blocks().to(shadow())
    with SwapLayers().apply(model, Supervised("classification")):
        (swap,) = made
        own = list(model.blocks.parameters())
        weights, trained = 4 * sum(p.numel() for p in own), 4 * 20 * 3
        for passes in (1, 2):
            model(torch.ones(2, 4).to(shadow())).sum().backward()
            assert swap.fetched_bytes == 2 * weights * passes
            assert swap.returned_bytes == trained * passes
        assert swap._coming == {}
        assert all(p.grad is None for p in own if not p.requires_grad)
        assert all(p.grad.device.type == "cpu" for p in own if p.grad is not None)


def test_weights_that_changed_on_their_way_are_fetched_again() -> None:
    model = Blocks().to(shadow())
    with SwapLayers().apply(model, Supervised("classification")), torch.no_grad():
        model.first(torch.ones(1, 4).to(shadow()))
        model.blocks[0](torch.ones(1, 4).to(shadow()))  # the second one is on its way now
        for parameter in model.blocks[1].parameters():
            parameter.zero_()
        x = torch.ones(1, 4).to(shadow())
        assert torch.equal(model.blocks[1](x).cpu(), x.cpu())


def test_weights_are_put_back_also_after_an_error() -> None:
    layer = Block()
    own = dict(layer.named_parameters())
    with pytest.raises(KeyError), _resident(layer, {id(p): p.detach() for p in own.values()}):
        assert layer.map.weight is not own["map.weight"]
        raise KeyError
    assert dict(layer.named_parameters()) == own


def test_what_cannot_be_swapped_is_refused() -> None:
    def refused(model: nn.Module, words: str) -> None:
        with (
            pytest.raises(ValueError, match=words),
            SwapLayers().apply(model, Supervised("classification")),
        ):
            raise AssertionError

    refused(Blocks(), "the model is on the CPU")
    tied = Blocks()
    tied.blocks[1].map = tied.blocks[0].map
    refused(tied.to(shadow()), "share weights with one another")
    tied = Blocks()
    tied.first.weight = tied.blocks[0].map.weight  # type: ignore[union-attr,assignment]
    refused(tied.to(shadow()), "share weights with one another")
    bare = nn.ModuleList([Block()]).to(shadow())
    refused(bare, "the model begins with its layers")


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun does; they meet after savers are applied
    with (
        pytest.raises(ValueError, match="several processes train this model"),
        SwapLayers().apply(Blocks().to(shadow()), Supervised("classification")),
    ):
        raise AssertionError


def test_another_saver_beside_it_works_too() -> None:
    model, kind = language_model("gpt2")
    model.to(shadow())
    loss = Supervised(kind)
    batch = language_batch(model.config.vocab_size)
    assert batch.labels is not None
    inputs = {name: tensor.to(shadow()) for name, tensor in batch.inputs.items()}
    batch = Batch(inputs, batch.labels.to(shadow()), batch.index)
    with SwapLayers().apply(model, loss), ChunkedCrossEntropy(tokens=3).apply(model, loss):
        loss.mean(model, batch).backward()
    assert all(p.grad is not None for layer in layers_of(model, "") for p in layer.parameters())
