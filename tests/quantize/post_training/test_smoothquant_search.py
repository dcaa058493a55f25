import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from leanformer.calibrate.ranges import observe_ranges
from leanformer.models.tiny import tiny_model
from leanformer.numerics.fake_linear import FakeQuantLinear
from leanformer.quantize.post_training.smoothquant import smoothquant
from leanformer.quantize.post_training.smoothquant_search import (
    ALPHAS,
    best_divisor,
    best_divisors,
    output_error,
)


class One(nn.Module):
    def __init__(self, weight_OI):
        super().__init__()
        self.layer = nn.Linear(weight_OI.shape[1], weight_OI.shape[0], bias=False)
        self.layer.weight.data = weight_OI

    def forward(self, x, attention_mask=None):
        return self.layer(x)


def sample(seed, outlier=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 20, 8, generator=generator)
    x[..., 2] *= outlier
    return One(torch.randn(5, 8, generator=generator)), x


def seen(model, x):
    batches = [{"x": part[None]} for part in x]
    return batches, observe_ranges(model, batches)["layer"]


def test_the_error_is_that_of_the_layer_which_carries_the_scales():
    model, x = sample(0, outlier=9.0)
    _, found = seen(model, x)
    divisor = smoothquant(found.channel, model.layer.weight, 0.6)
    divided = observe_ranges(model, [{"x": x}], divisors={"layer": divisor})["layer"]
    carrier = FakeQuantLinear(model.layer, divided.grid(), divisor)
    expected = (carrier(x) - model(x)).square().sum().item()
    error = output_error(x.flatten(0, 1), model.layer.weight.detach(), found, divisor)
    assert error == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 99), st.floats(1, 100))
def test_no_alpha_alone_is_better(seed, outlier):
    model, x = sample(seed, outlier)
    _, found = seen(model, x)
    rows, weight = x.flatten(0, 1), model.layer.weight.detach()
    best = output_error(rows, weight, found, best_divisor(rows, weight, found))
    each = [
        output_error(rows, weight, found, smoothquant(found.channel, weight, alpha))
        for alpha in ALPHAS
    ]
    assert best == min(each)


def test_an_outlier_is_moved_to_the_weight():
    model, x = sample(1, outlier=1000.0)
    batches, found = seen(model, x)
    divisor = best_divisors(model, batches, {"layer": found})["layer"]
    others = torch.arange(8) != 2
    assert divisor[2] > 10 * divisor[others].max()


def test_every_layer_that_is_reached_gets_one_and_the_model_is_left_as_it_was():
    model, _ = tiny_model("bert")
    ids = torch.arange(4, 24).reshape(2, 10)
    batches = [{"input_ids": row[None], "attention_mask": torch.ones(1, 10)} for row in ids]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ranges = observe_ranges(model, batches)
    divisors = best_divisors(model, batches, ranges)
    assert divisors.keys() == ranges.keys()
    assert all(divisors[n].shape == (model.get_submodule(n).in_features,) for n in ranges)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
