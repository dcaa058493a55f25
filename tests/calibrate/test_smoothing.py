import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.calibrate.smoothing import smoothing


@given(st.floats(0, 1), st.integers(0, 99))
def test_it_is_the_papers_formula_and_leaves_the_product_unchanged(alpha, seed):
    generator = torch.Generator().manual_seed(seed)
    x, weight = torch.randn(9, 5, generator=generator), torch.randn(3, 5, generator=generator)
    channel = x.abs().amax(0)
    divisor = smoothing(channel, weight, alpha)
    torch.testing.assert_close(
        divisor, channel**alpha / weight.abs().amax(0) ** (1 - alpha), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        (x / divisor) @ (weight * divisor).T, x @ weight.T, rtol=1e-3, atol=1e-3
    )


def test_a_dead_channel_is_left_alone():
    assert smoothing(torch.zeros(2), torch.ones(3, 2)).tolist() == [1, 1]


def test_alpha_has_bounds():
    with pytest.raises(ValueError, match="alpha: 2 is not between 0 and 1"):
        smoothing(torch.ones(2), torch.ones(3, 2), 2)
