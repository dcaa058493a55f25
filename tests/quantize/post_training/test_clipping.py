import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from leanformer.calibrate.ranges import observe_ranges
from leanformer.numerics.grid import affine_grid, fake_quantize
from leanformer.quantize.post_training.clipping import (
    calibrate_ranges,
    divergence,
    entropy_clipping,
    mse_clipping,
    percentile_clipping,
)


def with_outlier(count=200_000, outlier=20.0):
    torch.manual_seed(0)
    x = torch.cat([torch.randn(count), torch.tensor([outlier])])
    low, high = float(x.min()), float(x.max())
    return x, torch.histc(x, 1024, low, high), low, high


def error(x, ends):
    return (fake_quantize(x, affine_grid(*map(torch.tensor, ends))) - x)[:-1].square().mean()


def test_mse_beats_min_max_where_there_is_an_outlier():
    x, counts, low, high = with_outlier(1_000_000)
    assert error(x, mse_clipping(counts, low, high)) < 0.7 * error(x, (low, high))


@pytest.mark.parametrize("ends", [percentile_clipping, entropy_clipping])
def test_the_others_leave_the_outlier_out(ends):
    x, counts, low, high = with_outlier()
    found = ends(counts, low, high)
    assert low <= found[0] < -3
    assert 3 < found[1] < 10
    assert error(x, found) < 0.3 * error(x, (low, high))


def naive_divergence(counts, codes, inside):
    """The definition, bin by bin."""
    places = [n for n in range(len(counts)) if inside[n]]
    p = {n: float(counts[n]) for n in places}
    p[places[0]] += float(sum(counts[: places[0]]))
    p[places[-1]] += float(sum(counts[places[-1] + 1 :]))
    q = {}
    for n in places:
        mates = [m for m in places if codes[m] == codes[n] and counts[m] > 0]
        q[n] = sum(float(counts[m]) for m in mates) / len(mates) if counts[n] > 0 else 0.0
    total, spread = sum(p.values()), sum(q.values())
    return sum(
        p[n] / total * math.log(p[n] / total / max(q[n] / spread, 1e-12)) for n in places if p[n]
    )


def test_divergence_is_its_definition():
    counts = torch.tensor([1.0, 0, 3, 5, 7, 0, 2, 4, 0, 6, 1], dtype=torch.float64)
    codes = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    inside = torch.tensor([False, False, *[True] * 7, False, False])
    found = divergence(counts, codes, inside)
    assert float(found) == pytest.approx(naive_divergence(counts, codes, inside), rel=1e-12)


@given(st.lists(st.integers(0, 50), min_size=4, max_size=30).filter(any))
def test_a_code_for_each_bin_loses_nothing(counts):
    bins = torch.tensor(counts, dtype=torch.float64)
    everything = torch.ones(len(counts), dtype=torch.bool)
    lost = divergence(bins, torch.arange(len(counts)), everything)
    assert float(lost) == pytest.approx(0, abs=1e-12)


def one_layer():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 2)), [
        {"input": torch.randn(3, 2000, 4) ** 5} for _ in range(5)
    ]


@pytest.mark.parametrize("method", ["moving-average", "percentile", "mse", "entropy"])
def test_a_clipped_range_lies_inside_the_outer_one(method):
    model, data = one_layer()
    outer = observe_ranges(model, data)["0"]
    found = calibrate_ranges(model, data, method=method)["0"]
    assert outer.low - 1e-5 <= found.low <= found.high <= outer.high + 1e-5
    assert (found.low, found.high) != (outer.low, outer.high)


def test_min_max_is_what_was_observed():
    model, data = one_layer()
    outer, found = observe_ranges(model, data)["0"], calibrate_ranges(model, data)["0"]
    assert (found.low, found.high) == (outer.low, outer.high)


def test_an_unknown_method_is_refused():
    model, data = one_layer()
    with pytest.raises(ValueError, match="method: 'median' is not one of min-max, moving-average"):
        calibrate_ranges(model, data, method="median")
