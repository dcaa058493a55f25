import pytest
import torch

from leanformer.numerics.grid import affine_grid, fake_quantize, symmetric_grid
from leanformer.quantize.activations import Calibrated, Dynamic, MovingAverage
from leanformer.quantize.activations.activations import round_to


@pytest.mark.parametrize("grid", [
    affine_grid(torch.tensor(-1.3), torch.tensor(2.1)), symmetric_grid(torch.tensor(1.7), 4),
])  # fmt: skip
def test_rounding_is_that_of_the_grid_with_its_gradient(grid):
    torch.manual_seed(0)
    x = (3 * torch.randn(2, 7, 5)).requires_grad_()
    other = x.detach().clone().requires_grad_()
    weight = torch.randn(2, 7, 5)
    (round_to(x, grid) * weight).sum().backward()
    (fake_quantize(other, grid) * weight).sum().backward()
    torch.testing.assert_close(round_to(x, grid), fake_quantize(other, grid))
    assert torch.equal(x.grad, other.grad)
    assert (x.grad == 0).any()
    assert (x.grad == weight).any()


def test_narrow_types_are_rounded_in_fp32_and_come_back_as_they_were():
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    grid = symmetric_grid(x.abs().max().float())
    assert round_to(x, grid).dtype == torch.bfloat16
    assert torch.equal(round_to(x, grid), round_to(x.float(), grid).bfloat16())


def test_only_calibrated_ranges_ask_for_a_calibration():
    assert Calibrated(method="mse").calibration == "mse"
    assert Dynamic().calibration is None
    assert MovingAverage().calibration is None
