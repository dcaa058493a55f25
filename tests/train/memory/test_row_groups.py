from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask

from leanformer.train.memory.row_groups import Rows


class Layer(nn.Module):
    """A layer of any function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def forward(self, *arguments: Any, **named: Any) -> Any:
        if self.training:  # it is not when it is tried
            self.calls.append((arguments, named))
        return self.function(*arguments, **named)


def run(layer: nn.Module, rows: int, *arguments: Any, **named: Any) -> Any:
    return Rows(rows, layer, "layer 3").run(layer, layer, arguments, named)


X = torch.arange(60.0).reshape(5, 4, 3)


def test_what_has_the_rows_of_the_batch_is_split_and_the_rest_goes_whole() -> None:
    layer = Layer(lambda hidden, mask, places, cos, **named: (hidden * mask, [places], None, 7))
    mask, places, cos = torch.rand(5, 4, 1), torch.arange(20).reshape(5, 4), torch.rand(1, 4, 2)
    scale = torch.tensor(2.0)
    found = run(layer, 2, X, mask, places, (cos, cos), scale=scale, causal=True, path="a")
    assert torch.equal(found[0], X * mask)
    assert torch.equal(found[1][0], places)
    assert found[2:] == (None, 7)
    sizes = [[len(one) for one in arguments[:3]] for arguments, _ in layer.calls]
    assert sizes == [[2, 2, 2], [2, 2, 2], [1, 1, 1]]
    for arguments, named in layer.calls:
        assert all(one is cos for one in arguments[3])
        assert named["scale"] is scale
        assert (named["causal"], named["path"]) == (True, "a")


def test_hidden_states_may_have_a_name_and_caches_are_left_out() -> None:
    layer = Layer(lambda hidden, cache=None: hidden + 1)
    assert torch.equal(run(layer, 4, hidden=X, cache=[torch.zeros(7)]), X + 1)
    assert [named["cache"] for _, named in layer.calls] == [None, None]


def test_a_batch_of_no_more_rows_passes_as_it_is() -> None:
    layer = Layer(lambda hidden, other: hidden.sum())
    other = torch.zeros(7)
    assert run(layer, 5, X, other) == X.sum()
    ((arguments, _),) = layer.calls
    assert arguments[0] is X


@pytest.mark.parametrize("training", [True, False])
def test_modules_are_in_the_mode_they_had_after_the_trial(training: bool) -> None:
    layer = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5)).train()
    layer[1].train(training)
    run(layer, 2, X)
    assert [module.training for module in layer.modules()] == [True, True, training]


def refused(layer: nn.Module, words: str, *arguments: Any, rows: int = 2) -> None:
    with pytest.raises(ValueError, match=f"rows = {rows}, but layer 3 .*{words}.*leave rows out"):
        run(layer, rows, *arguments)


def test_an_argument_of_unknown_rows_is_refused_before_anything_is_computed() -> None:
    layer = Layer(lambda hidden, other: hidden)
    refused(layer, r"is given a Tensor of shape \[10, 1\] beside 5 rows", X, torch.zeros(10, 1))
    mask = create_block_mask(lambda b, h, q, k: q >= k, 5, 1, 128, 128, device="cpu")
    refused(layer, "is given a BlockMask", X, mask)
    assert layer.calls == []


def test_an_output_without_rows_is_refused() -> None:
    for output in (torch.tensor(1.0), torch.zeros(1, 4), torch.zeros(5)):
        layer = Layer(lambda hidden, output=output: (hidden, output))
        refused(layer, "gives a tensor of shape .* only outputs whose first dimension", X)
        assert layer.calls == []
    layer = Layer(lambda hidden: (hidden, hidden.mean()) if layer.training else hidden)
    refused(layer, "gives a tensor of shape", X)  # a loss that is there in training alone


def test_a_layer_whose_rows_look_at_one_another_is_refused() -> None:
    """Also where the batch is the second dimension, and attention is along the first one."""
    length_first = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)
    batch_first = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    x = torch.randn(5, 5, 4)
    for rows in (1, 2):
        refused(length_first, "mixes the rows", x, rows=rows)
        torch.testing.assert_close(run(batch_first, rows, x), batch_first(x))


def test_a_layer_that_changes_its_buffers_from_group_to_group_is_refused() -> None:
    refused(nn.BatchNorm1d(4), "changes its buffers", X)
