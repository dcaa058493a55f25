import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from leanformer.calibrate.ranges import observe_ranges
from leanformer.quantize.post_training.float_layers import (
    fewest_float_layers,
    quantization_loss,
)


@given(st.integers(1, 200), st.data())
def test_it_is_the_least_where_more_layers_never_hurt(most, data):
    needed = data.draw(st.integers(0, most))
    asked = []

    def holds(kept):
        assert 0 <= kept <= most
        asked.append(kept)
        return kept >= needed

    assert fewest_float_layers(most, holds) == needed
    assert len(asked) == len(set(asked)), "nothing is measured twice"
    assert len(asked) <= 2 * math.log2(most + 1) + 3


@pytest.mark.parametrize("most", [1, 2, 5, 36])
def test_none_holds(most):
    asked = []
    assert fewest_float_layers(most, lambda kept: asked.append(kept)) is None
    assert max(asked) == most


@given(st.sets(st.integers(0, 40)))
def test_what_is_found_held_and_a_smaller_one_was_tried_that_did_not(good):
    tried = {}

    def holds(kept):
        tried[kept] = kept in good
        return tried[kept]

    found = fewest_float_layers(40, holds)
    if found is None:
        assert not any(tried.values())
    else:
        assert tried[found]
        assert all(not held for kept, held in tried.items() if kept < found)


def test_the_loss_by_layer_is_worst_first_and_grows_with_the_range():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    data = [{"input": torch.randn(3, 7, 4)} for _ in range(5)]
    ranges = observe_ranges(model, data)
    losses = quantization_loss(model, ranges, data)
    assert [name for name, _ in losses] == sorted(dict(losses), key=dict(losses).get, reverse=True)
    assert all(0 < loss < 1e-3 for _, loss in losses)
    wide = {
        name: type(found)(-50.0, 50.0, found.low_I, found.high_I) for name, found in ranges.items()
    }
    worse = dict(quantization_loss(model, wide, data))
    assert all(worse[name] > loss for name, loss in losses)
