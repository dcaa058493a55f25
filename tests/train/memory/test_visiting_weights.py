from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from shadow_device import shadow
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from train.memory.blocks import Block, Blocks, slopes_of

from leanformer.train.account.live_bytes import LiveBytes
from leanformer.train.memory import visiting_weights
from leanformer.train.memory.replaced import replaced
from leanformer.train.memory.visiting_weights import Swap, _resident

CPU = torch.device("cpu")  # there, too, copies take the place of weights


@contextmanager
def swapped(model: Any, device: torch.device = CPU, rows: int | None = None) -> Iterator[Swap]:
    layers = list(model.blocks)
    for layer in layers:
        layer._apply(lambda tensor: tensor.detach().cpu())
    swap = Swap(layers, device, rows)
    with replaced() as replace:
        for place, layer in enumerate(layers):
            replace(layer, "forward", swap.forward(place))
        yield swap


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, slope in expected.items():
        torch.testing.assert_close(found[name], slope, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [None, 1, 2, 5, 9])
def test_each_weight_crosses_the_bus_twice_and_its_gradient_once(rows: int | None) -> None:
    """However many groups of rows there are."""
    model = Blocks().to(shadow())
    with swapped(model, shadow(), rows) as swap:
        own = list(model.blocks.parameters())
        weights, trained = 4 * sum(p.numel() for p in own), 4 * 20 * 3
        for passes in (1, 2):
            model(torch.ones(5, 4).to(shadow())).sum().backward()
            assert swap.fetched_bytes == 2 * weights * passes
            assert swap.returned_bytes == trained * passes
        assert swap._coming == {}
        assert swap._again is None
        assert all(p.grad is None for p in own if not p.requires_grad)
        assert all(p.grad.device.type == "cpu" for p in own if p.grad is not None)


def test_each_group_computes_again_once() -> None:
    model = Blocks()
    with swapped(model, rows=2):
        model(torch.ones(5, 4)).sum().backward()
        tried, forward, backward = [2], [2, 2, 1], [1, 2, 2]
        assert [block.rows for block in model.blocks] == 3 * [tried + forward + backward]
        model(torch.ones(4, 4)).sum().backward()
        assert [block.rows[7:] for block in model.blocks] == 3 * [[2, 2, 2, 2]]
        with torch.no_grad():
            model(torch.ones(5, 4))
        assert [block.rows[11:] for block in model.blocks] == 3 * [[5]]  # nothing is kept


@pytest.mark.parametrize("frozen", [0, 2])
def test_weights_of_a_frozen_layer_leave_the_device_too(frozen: int) -> None:
    model, x = Blocks().double(), torch.randn(5, 4).double()
    model.blocks[frozen].requires_grad_(False)
    model(x).sum().backward()
    expected = slopes_of(model)
    model.zero_grad()
    with swapped(model, rows=2) as swap:
        model(x).sum().backward()
        assert swap._again is None
        assert swap._coming == {}
    equal(slopes_of(model), expected)


def test_a_forward_pass_within_a_backward_pass_has_gradients_too() -> None:
    """As in a part of a model that another library checkpoints."""
    model, x = Blocks().double(), torch.randn(5, 4).double().requires_grad_()
    model(x).pow(2).sum().backward()
    expected = slopes_of(model)
    model.zero_grad()
    with swapped(model, rows=2) as swap:
        checkpoint(model, x, use_reentrant=True).pow(2).sum().backward()
        assert swap._again is None
    equal(slopes_of(model), expected)


def test_gradients_of_a_backward_pass_that_failed_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visiting_weights, "_is_done", lambda mark: False)  # as on a slow bus
    model, x = Blocks().double(), torch.randn(5, 4).double()
    model(x).pow(2).sum().backward()
    expected = slopes_of(model)
    model.zero_grad()

    def fail(slope: Tensor) -> None:
        raise KeyError("an error of its own")

    with swapped(model, rows=2) as swap:
        start = model.first(x)
        start.register_hook(fail)
        with pytest.raises(KeyError, match="of its own"):
            model.blocks[1](model.blocks[0](start)).sum().backward()
        model.zero_grad()
        model(x).pow(2).sum().backward()
        assert swap._again is None
    equal(slopes_of(model), expected)


class Wide(nn.Module):
    """A layer that holds eight times its input."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(self.up(x).tanh().exp())
        return x + y


def test_the_activations_that_are_computed_again_are_those_of_a_few_rows() -> None:
    model = Blocks()
    model.first = nn.Linear(16, 16)
    model.blocks = nn.ModuleList(Wide() for _ in range(4))
    x = torch.randn(64, 32, 16)
    row = 4 * 32 * 16  # bytes of a row of hidden states

    def taken(rows: int | None) -> tuple[int, int]:
        """Bytes that are kept from forward to backward, and the most above them."""
        with swapped(model, rows=rows):
            model(x[:2]).sum().backward()
            model(x).sum().backward()  # the layers are tried
            with LiveBytes([x, *model.parameters()]) as live:
                before = live.bytes
                value = model(x).sum()
                kept = live.bytes - before
                live.peak = live.bytes
                value.backward()
                return kept, live.peak - before - kept

    (whole, most), (groups, least) = taken(None), taken(4)
    assert whole == pytest.approx(groups, abs=row)  # the inputs of layers, in both
    assert most > 64 * 8 * row
    assert least < 4 * 64 * row  # a few tensors of the size of all hidden states, and one group


def test_weights_that_changed_on_their_way_are_fetched_again() -> None:
    model = Blocks()
    with swapped(model) as swap, torch.no_grad():
        model.blocks[0](torch.ones(1, 4))  # the second one is on its way now
        assert list(swap._coming) == [1]
        for parameter in model.blocks[1].parameters():
            parameter.zero_()
        x = torch.ones(1, 4)
        assert torch.equal(model.blocks[1](x), x)


def test_weights_are_put_back_also_after_an_error() -> None:
    layer = Block()
    own = dict(layer.named_parameters())
    with pytest.raises(KeyError), _resident(layer, {id(p): p.detach() for p in own.values()}):
        assert layer.map.weight is not own["map.weight"]
        raise KeyError
    assert dict(layer.named_parameters()) == own
