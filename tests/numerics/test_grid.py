import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanformer.numerics.grid import (
    affine_grid,
    dequantize,
    fake_quantize,
    input_grid,
    quantize,
    row_grid,
    symmetric_grid,
)

ENDS = st.floats(-100, 100, width=32)


@pytest.mark.parametrize("shape", [(7,), (13, 7)])
def test_equals_torch_per_tensor(shape):
    torch.manual_seed(0)
    x = 3 * torch.randn(shape)
    grid = affine_grid(torch.tensor(-2.5), torch.tensor(4.0))
    expected = torch.fake_quantize_per_tensor_affine(
        x, float(grid.scale), int(grid.zero_point), grid.low, grid.high
    )
    torch.testing.assert_close(fake_quantize(x, grid), expected, rtol=0, atol=1e-6)


def test_equals_torch_per_row():
    torch.manual_seed(0)
    weight = torch.randn(13, 7)
    grid = row_grid(weight)
    expected = torch.fake_quantize_per_channel_affine(
        weight, grid.scale, grid.zero_point, 0, grid.low, grid.high
    )
    torch.testing.assert_close(fake_quantize(weight, grid), expected, rtol=0, atol=1e-6)


@given(ENDS, ENDS, st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(2, 8))
def test_inside_the_range_the_error_is_at_most_half_a_step(a, b, shares, bits):
    low, high = min(a, b, 0.0), max(a, b, 0.0)
    x = torch.tensor([low + share * (high - low) for share in shares])
    grid = affine_grid(torch.tensor(low), torch.tensor(high), bits)
    # Rounding the zero point moves the ends by up to half a step more: those values are clipped.
    inside = (x >= (grid.low - grid.zero_point) * grid.scale) & (
        x <= (grid.high - grid.zero_point) * grid.scale
    )
    error = (fake_quantize(x, grid) - x).abs()[inside]
    assert (error <= grid.scale * 0.5001 + 1e-5).all()


@given(st.floats(0, 50, width=32), st.integers(2, 8))
def test_symmetric_grids_are_odd_functions_and_reach_their_bound(bound, bits):
    grid = symmetric_grid(torch.tensor(bound), bits)
    x = torch.linspace(-bound, bound, 21)
    torch.testing.assert_close(fake_quantize(-x, grid), -fake_quantize(x, grid))
    assert (fake_quantize(x, grid) - x).abs().max() <= grid.scale * 0.5001 + 1e-6


def test_zero_is_exact_even_when_the_range_lies_on_one_side():
    grid = affine_grid(torch.tensor(1.0), torch.tensor(5.0))
    assert fake_quantize(torch.zeros(1), grid).item() == 0


def test_codes_are_integers_of_the_grid_and_mean_what_they_say():
    x = torch.tensor([-9.0, -1.0, 0.0, 0.3, 2.0, 9.0])
    grid = affine_grid(torch.tensor(-1.0), torch.tensor(2.0))
    codes = quantize(x, grid)
    assert codes.min() == 0
    assert codes.max() == 255
    assert (codes == codes.round()).all()
    torch.testing.assert_close(dequantize(codes, grid), fake_quantize(x, grid))


def test_the_gradient_is_torchs_straight_through_one():
    x = torch.tensor([-3.0, -1.0, 0.4, 1.9, 2.6], requires_grad=True)
    grid = affine_grid(torch.tensor(-1.0), torch.tensor(2.0))
    fake_quantize(x, grid).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_refusals():
    one = torch.tensor(1.0)
    with pytest.raises(ValueError, match="bits: 9 is not between 2 and 8"):
        symmetric_grid(one, bits=9)
    with pytest.raises(ValueError, match="is not finite; look for NaN"):
        affine_grid(torch.tensor(float("nan")), one)
    with pytest.raises(ValueError, match="lies above high"):
        affine_grid(one, -one)
    with pytest.raises(ValueError, match="must be finite and not negative"):
        symmetric_grid(-one)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.1), (-2.0, 1.9)])
def test_inputs_have_a_signed_grid_where_that_is_hardly_coarser(low, high):
    ends = torch.tensor([low, high])
    grid = input_grid(*ends)
    assert (grid.low, grid.high, int(grid.zero_point)) == (-128, 127, 0)
    assert (fake_quantize(ends, grid) - ends).abs().max() <= grid.scale / 2
    assert grid.scale <= 9 / 8 * affine_grid(*ends).scale


@pytest.mark.parametrize(("low", "high"), [(-0.2, 4.0), (0.0, 1.0), (-1.0, 1.3), (1.0, 5.0)])
def test_inputs_have_an_affine_grid_where_a_signed_one_would_waste_codes(low, high):
    ends = torch.tensor([low, high])
    grid, affine = input_grid(*ends), affine_grid(*ends)
    assert (grid.low, grid.high) == (0, 255)
    assert (grid.scale, grid.zero_point) == (affine.scale, affine.zero_point)
