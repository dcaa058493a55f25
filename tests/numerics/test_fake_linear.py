import pytest
import torch
from torch import nn

from leanformer.numerics.fake_linear import FakeQuantEmbedding, FakeQuantLinear, rounded_once
from leanformer.numerics.grid import affine_grid, fake_quantize, row_grid, symmetric_grid


def layer(smooth=None, output=None):
    torch.manual_seed(0)
    linear = nn.Linear(7, 13)
    grid = affine_grid(torch.tensor(-3.0), torch.tensor(3.0))
    return linear, grid, FakeQuantLinear(linear, grid, smooth, output=output)


def test_it_is_the_product_of_the_rounded_factors():
    linear, grid, module = layer()
    x = torch.randn(5, 7)
    rounded = fake_quantize(linear.weight, row_grid(linear.weight))
    expected = fake_quantize(x, grid) @ rounded.T + linear.bias
    torch.testing.assert_close(module(x), expected)


def test_smoothing_divides_the_input_and_multiplies_the_weight():
    smooth = torch.linspace(0.5, 2.0, 7)
    linear, grid, module = layer(smooth)
    x = torch.randn(5, 7)
    weight = linear.weight * smooth
    expected = fake_quantize(x / smooth, grid) @ fake_quantize(weight, row_grid(weight)).T
    torch.testing.assert_close(module(x), expected + linear.bias, atol=1e-5, rtol=1e-5)


def test_an_output_grid_rounds_what_the_layer_says():
    output = symmetric_grid(torch.tensor(1.0))
    _, _, module = layer(output=output)
    _, _, plain = layer()
    x = torch.randn(50, 7)
    assert plain(x).abs().max() > 1  # some is clipped
    torch.testing.assert_close(module(x), fake_quantize(plain(x), output), atol=1e-6, rtol=0)
    assert len(module(x).unique()) <= 255
    assert "output_scale" in module.state_dict()
    assert "output_scale" not in plain.state_dict()


def test_gradients_pass_an_output_grid_where_nothing_is_clipped():
    _, _, module = layer(output=symmetric_grid(torch.tensor(1.0)))
    _, _, plain = layer()
    x = torch.randn(50, 7)
    kept = plain(x).abs().detach() < 127.5 / 127  # rounds to an end of the grid, no further
    module(x).sum().backward()
    found = module.bias.grad
    assert torch.equal(found, kept.sum(0).float())
    assert (found < 50).any()


def test_given_rows_keep_a_coarser_grid_exact():
    linear, grid, _ = layer()
    step = torch.linspace(0.1, 0.7, 13)
    codes = torch.randint(-3, 4, (13, 7), generator=torch.Generator().manual_seed(0))
    linear.weight.data = codes * step[:, None]  # 3 bits: the largest of a row is often below 3
    module = FakeQuantLinear(linear, grid, rows=step)
    x = torch.randn(5, 7)
    expected = nn.functional.linear(fake_quantize(x, grid), linear.weight, linear.bias)
    torch.testing.assert_close(module(x), expected, atol=0, rtol=1e-6)
    assert torch.equal(module.rows, step)
    assert not torch.allclose(FakeQuantLinear(linear, grid)(x), expected, atol=1e-6)
    table = nn.Embedding(13, 7, _weight=linear.weight.detach())
    ids = torch.arange(13)
    assert torch.equal(FakeQuantEmbedding(table, step)(ids), linear.weight)
    assert not torch.equal(FakeQuantEmbedding(table)(ids), linear.weight)


def test_weights_are_shared_scales_are_saved_and_gradients_flow():
    linear, _, module = layer()
    assert module.weight is linear.weight
    assert {"weight", "bias", "input_scale", "input_zero_point"} <= set(module.state_dict())
    module(torch.randn(5, 7)).sum().backward()
    assert linear.weight.grad.abs().sum() > 0
    assert "int8" in repr(module)


def test_embedding_rows_are_within_half_a_step_of_their_own_scale():
    embedding = nn.Embedding(11, 6)
    ids = torch.arange(11)
    error = (FakeQuantEmbedding(embedding)(ids) - embedding.weight).abs()
    assert (error <= row_grid(embedding.weight).scale[:, None] * 0.5001).all()
    assert error.max() > 0


def test_weights_that_are_held_are_rounded_once():
    _, _, module = layer(torch.linspace(0.5, 2.0, 7))
    table = FakeQuantEmbedding(nn.Embedding(11, 7))
    model, ids = nn.Sequential(table, module), torch.tensor([[1, 4, 10]])
    expected = model(ids)
    with rounded_once(model):
        assert torch.equal(model(ids), expected)
        with torch.no_grad():
            module.weight.zero_()
        assert torch.equal(model(ids), expected)
    assert not torch.equal(model(ids), expected)
    with pytest.raises(RuntimeError, match="stop"), rounded_once(model):
        raise RuntimeError("stop")
    assert module.held is None
    assert table.held is None
