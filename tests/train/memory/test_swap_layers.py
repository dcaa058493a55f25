from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import nn
from train.memory.blocks import Block, Blocks, slopes_of
from train.memory.languages import language_batch, language_model
from train.toy import FAST, toy
from train.two_terms import same

from leanformer.data import Batch
from leanformer.models.tied import cpu_state
from leanformer.train import Supervised, fit
from leanformer.train.memory import ChunkedCrossEntropy, OffloadOptimizer, SwapLayers
from leanformer.train.memory.layers import layers_of
from leanformer.train.memory.row_groups import Rows


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


def slopes(family: str, memory: list[Any], grouped: int | None = None, drop: bool = True) -> Any:
    """The gradients of a pass, after which the model has evaluated the batch too.

    Args:
        family: The model.
        memory: At most one saver.
        grouped: Rows that pass a layer at a time, with nothing swapped or checkpointed.
        drop: Whether there is dropout.
    """
    model, kind = language_model(family)
    model.config.use_cache = False
    for module in model.modules():
        if isinstance(module, nn.Dropout) and not drop:
            module.p = 0.0
    model.to(shadow())
    for place, layer in enumerate(layers_of(model, "") if grouped else ()):
        real, apart = layer.forward, Rows(grouped or 1, layer, str(place))
        layer.forward = (  # type: ignore[method-assign]
            lambda *own, real=real, apart=apart, **named: apart.run(real, real, own, named)
        )
    batch = shadowed(language_batch(model.config.vocab_size))
    loss = Supervised(kind)
    with memory[0].apply(model, loss) if memory else torch.enable_grad():
        torch.manual_seed(1)
        loss.mean(model, batch).backward()
        found = slopes_of(model)
        with torch.no_grad():
            model.eval()(**batch.inputs)
        return found


def shadowed(batch: Batch) -> Batch:
    assert batch.labels is not None
    inputs = {name: tensor.to(shadow()) for name, tensor in batch.inputs.items()}
    return Batch(inputs, batch.labels.to(shadow()), batch.index)


@pytest.mark.parametrize("family", ["gpt2", "modernbert"])
def test_gradients_are_equal_to_the_last_bit(family: str) -> None:
    expected, ours = slopes(family, []), slopes(family, [SwapLayers()])
    assert ours.keys() == expected.keys()
    for name, slope in expected.items():
        assert torch.equal(ours[name], slope), name


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "modernbert"])
def test_a_few_rows_at_a_time_give_the_gradients_of_all(family: str, rows: int) -> None:
    """Of a batch of three rows, one of which is shorter."""
    expected = slopes(family, [], drop=False)
    ours = slopes(family, [SwapLayers(rows=rows)], drop=False)
    assert ours.keys() == expected.keys()
    for name, slope in expected.items():
        torch.testing.assert_close(ours[name], slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_each_group_computes_again_with_the_dropout_that_it_had(family: str) -> None:
    expected, ours = slopes(family, [], grouped=2), slopes(family, [SwapLayers(rows=2)])
    whole = slopes(family, [SwapLayers()])
    assert ours.keys() == expected.keys()
    for name, slope in expected.items():
        torch.testing.assert_close(ours[name], slope, rtol=1e-12, atol=1e-12)
    assert any(not torch.allclose(ours[name], slope) for name, slope in whole.items())


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
    batch = shadowed(language_batch(model.config.vocab_size))
    with SwapLayers(rows=2).apply(model, loss), ChunkedCrossEntropy(tokens=3).apply(model, loss):
        loss.mean(model, batch).backward()
    assert all(p.grad is not None for layer in layers_of(model, "") for p in layer.parameters())
