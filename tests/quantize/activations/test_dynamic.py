import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.quantize.activations import Dynamic


def naive(x, symmetric, bits):
    """The papers' formulas on one range."""
    if symmetric:
        scale = (2 ** (bits - 1) - 1) / x.abs().max()
        return (x * scale).round() / scale
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    step = (high - low) / (2**bits - 1)
    zero = round(-low / step)
    return ((x / step).round() + zero).clamp(0, 2**bits - 1).sub(zero) * step


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_it_is_the_formula_of_the_papers(symmetric, bits):
    torch.manual_seed(0)
    x = torch.randn(3, 7, 13) + 0.5
    build = Dynamic(symmetric=symmetric, bits=bits).build(13)
    torch.testing.assert_close(build(x), naive(x, symmetric, bits), atol=1e-6, rtol=1e-6)
    build = Dynamic(symmetric=symmetric, bits=bits, granularity="token").build(13)
    expected = torch.stack([naive(row, symmetric, bits) for row in x.reshape(-1, 13)])
    torch.testing.assert_close(build(x), expected.reshape(x.shape), atol=1e-6, rtol=1e-6)


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["tensor", "token"]))
def test_the_error_is_half_a_step_and_zero_stays_zero(seed, symmetric, granularity):
    x = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed))
    x[2, 3] = 0.0
    rounded = Dynamic(symmetric=symmetric, granularity=granularity).build(7)(x)
    step = 2 * x.abs().amax() / (254 if symmetric else 255)
    assert (rounded - x).abs().max() <= step * 0.5001
    assert rounded[2, 3] == 0


def test_padding_moves_a_range_of_the_tensor_and_not_one_of_a_token():
    torch.manual_seed(0)
    x = torch.randn(1, 5, 8)
    padded = torch.cat([x, 9 * torch.ones(1, 2, 8)], dim=1)
    for granularity, same in (("token", True), ("tensor", False)):
        module = Dynamic(granularity=granularity).build(8)
        assert torch.equal(module(padded)[:, :5], module(x)) is same
    assert module.grid() is None
    assert not module.state_dict()


def test_the_gradient_passes_straight_through():
    torch.manual_seed(0)
    x = torch.randn(4, 6, requires_grad=True)
    weight = torch.randn(4, 6)
    (Dynamic(symmetric=True).build(6)(x) * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight)  # nothing lies outside its own range


def test_refusals():
    with pytest.raises(ValueError, match="bits: 9 is not between 2 and 8"):
        Dynamic(bits=9)
    with pytest.raises(ValueError, match="look for NaN in the activations"):
        Dynamic().build(2)(torch.tensor([[1.0, float("nan")]]))
    with pytest.raises(ValueError, match="must be finite"):
        Dynamic(symmetric=True).build(2)(torch.tensor([[1.0, float("inf")]]))
