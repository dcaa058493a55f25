import pytest
import torch

from leanformer.numerics.grid import affine_grid, fake_quantize
from leanformer.quantize.activations import Calibrated


def test_it_rounds_to_the_range_that_it_was_told_and_keeps_it():
    torch.manual_seed(0)
    module = Calibrated().build(5).train()
    assert module.grid() is None
    with pytest.raises(AssertionError, match="calibrate comes first"):
        module(torch.zeros(1, 5))
    module.calibrate(-1.0, 2.0)
    x = 3 * torch.randn(4, 5)
    grid = affine_grid(torch.tensor(-1.0), torch.tensor(2.0))
    torch.testing.assert_close(module(x), fake_quantize(x, grid))
    assert module.grid().scale == grid.scale
    again = Calibrated().build(5)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x), module(x))


def test_what_is_clipped_gets_no_gradient():
    module = Calibrated().build(3)
    module.calibrate(-1.0, 1.0)
    x = torch.tensor([[-2.0, 0.3, 1.5]], requires_grad=True)
    module(x).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 0.0]]


def test_a_range_must_be_one():
    with pytest.raises(ValueError, match="is not finite"):
        Calibrated().build(1).calibrate(float("nan"), 1.0)
    with pytest.raises(ValueError, match=r"low 2.0 lies above high 1.0"):
        Calibrated().build(1).calibrate(2.0, 1.0)
