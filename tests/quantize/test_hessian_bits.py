import pytest
import torch
from torch import nn

from leanformer.calibrate.hessian import curvatures
from leanformer.data import Batch
from leanformer.quantize.hessian_bits import HessianBits

STEEP = {"a": 0.1, "b": 5.0, "c": 1.0, "d": 0.5}
LAYERS = {name: [name] for name in STEEP}


class Bowl(nn.Module):
    """A loss with a curvature of its own in each parameter."""

    def __init__(self):
        super().__init__()
        for name in STEEP:
            setattr(self, name, nn.Parameter(torch.randn(3, 2)))

    def forward(self, scale):
        return sum(scale * s * getattr(self, name).square().sum() for name, s in STEEP.items())


def slices(count):
    """One batch a slice, each as steep as it is long."""
    return [
        [Batch({"input_ids": torch.ones(1, length + 1)}, None, torch.zeros(1))]
        for length in range(count)
    ]


def loss(model, batch):
    return model(batch.inputs["input_ids"].shape[1])


def test_the_steepest_layers_get_more_bits():
    found = HessianBits(low=2, high=4, share=0.5, slices=3, texts=3).choose(
        Bowl(), LAYERS, slices, loss
    )
    assert [one.layer for one in found] == list(LAYERS)
    assert [one.bits for one in found] == [2, 4, 4, 2]


def test_the_sensitivity_is_the_mean_and_the_spread_over_slices():
    (first, *_) = HessianBits(slices=3, texts=3).choose(Bowl(), LAYERS, slices, loss)
    tops = torch.tensor([2 * STEEP["a"] * scale for scale in (1, 2, 3)])
    expected = float(tops.mean().abs() + tops.std(correction=0))
    assert first.sensitivity == pytest.approx(expected, rel=1e-4)
    measured = curvatures(Bowl(), {"a": ["a"]}, slices(3), loss)["a"]
    assert first.sensitivity == pytest.approx(measured.sensitivity, rel=1e-4)


@pytest.mark.parametrize(("share", "many"), [(0.01, 1), (0.5, 2), (0.74, 3)])
def test_the_share_of_layers_is_kept(share, many):
    found = HessianBits(share=share, slices=1, texts=1).choose(Bowl(), LAYERS, slices, loss)
    assert sum(one.bits == 3 for one in found) == many


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"low": 1}, "low: 1 is not between 2 and 8"),
        ({"low": 4, "high": 4}, "low: 4 bits are not fewer than high, 4"),
        ({"share": 1.0}, r"share: 1\.0 is not above 0 and below 1"),
        ({"texts": 3}, "slices: 5 of 3 texts"),
        ({"iterations": 0}, "iterations: 0 is not at least 1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        HessianBits(**fields)


def test_one_layer_has_nothing_to_share():
    with pytest.raises(ValueError, match="bits: 1 layer cannot have more bits than another"):
        HessianBits().choose(Bowl(), {"a": ["a"]}, slices, loss)
