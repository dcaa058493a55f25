import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leanformer.quantize.quantizer import WeightStatistics
from leanformer.quantize.quantizers import Gptq, Uniform
from leanformer.quantize.quantizers.gptq import compensated


def correlated(inputs=8, count=200, seed=0):
    """Inputs that rise and fall together, [N, I]."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(inputs, inputs, generator=generator).double()
    return torch.randn(count, inputs, generator=generator).double() @ mix


def weight(rows=5, columns=8, seed=0):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)).double()


def hessian(x_NI):
    return WeightStatistics(hessian_II=x_NI.T @ x_NI / len(x_NI))


def naive(weight_OI, hessian_II, given, damping):
    """Optimal brain quantization in a fixed order, the inverse of what is left taken anew."""
    left, size = weight_OI.clone(), weight_OI.shape[1]
    damped = hessian_II + damping * hessian_II.diagonal().mean() * torch.eye(size).double()
    top = 2 ** (given.bits - 1) - 1
    scale = given.scale.expand(
        weight_OI.shape[0], 1, -1, weight_OI.shape[1] // given.scale.shape[2]
    )
    scale = scale.reshape(weight_OI.shape)
    codes = torch.zeros_like(left)
    for column in range(size):
        inverse = torch.linalg.inv(damped[column:, column:])
        codes[:, column] = torch.round(left[:, column] / scale[:, column]).clamp(-top, top)
        error = left[:, column] - codes[:, column] * scale[:, column]
        left[:, column:] -= error[:, None] / inverse[0, 0] * inverse[0]
    return codes.to(torch.int8)


@pytest.mark.parametrize(
    "grid", [Uniform(bits=3), Uniform(bits=4, granularity="group", group_size=4)]
)
def test_it_equals_obq_column_by_column(grid):
    statistics = hessian(correlated())
    found = Gptq(grid=grid, act_order=False).quantize(weight(), statistics)
    rounded = grid.quantize(weight())
    expected = naive(weight(), statistics.hessian_II, rounded, 0.01)
    assert torch.equal(found.codes_OI, expected)
    assert torch.equal(found.scale, rounded.scale)


@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("symmetric", [False, True])
def test_outputs_err_less_than_with_nearest_rounding(act_order, symmetric):
    worse = 0
    for seed in range(10):
        x, w = correlated(16, 300, seed), weight(12, 16, seed)
        grid = Uniform(bits=3, symmetric=symmetric)
        quantizer = Gptq(grid=grid, act_order=act_order)
        ours = quantizer.quantize(w, hessian(x)).dequantized()
        nearest = grid.quantize(w).dequantized()
        errors = [((w - found) @ x.T).square().sum() for found in (ours, nearest)]
        worse += int(errors[0] > 0.9 * errors[1])
    assert worse == 0


@settings(max_examples=20)
@given(st.integers(1, 16), st.booleans(), st.integers(0, 50))
def test_spans_change_nothing(span, act_order, seed):
    w, h = weight(5, 13, seed), hessian(correlated(13, seed=seed)).hessian_II
    given = Uniform(bits=4, symmetric=False).quantize(w)
    whole = compensated(w, h, given, 0.01, act_order, block_size=13)
    assert torch.equal(compensated(w, h, given, 0.01, act_order, span), whole)


@settings(max_examples=20)
@given(st.integers(0, 100))
def test_inputs_that_do_not_correlate_leave_nearest_rounding(seed):
    w = weight(seed=seed)
    alone = WeightStatistics(hessian_II=torch.diag(torch.rand(8).double() + 0.1))
    grid = Uniform(bits=4)
    assert torch.equal(Gptq(grid=grid).quantize(w, alone).codes_OI, grid.quantize(w).codes_OI)


def test_an_input_that_is_always_zero_is_no_trouble():
    x = correlated()
    x[:, 3] = 0
    found = Gptq(grid=Uniform(bits=4)).quantize(weight(), hessian(x))
    assert found.dequantized().isfinite().all()


def test_refusals():
    with pytest.raises(ValueError, match="damp_percent: 0 is not above 0"):
        Gptq(damp_percent=0)
    with pytest.raises(ValueError, match="gptq: the layer's inputs were not gathered"):
        Gptq(grid=Uniform(bits=4)).quantize(weight())
    with pytest.raises(
        ValueError, match=r"hessian_II: it is \(3, 3\) and must be finite and 8 x 8"
    ):
        Gptq(grid=Uniform(bits=4)).quantize(weight(), WeightStatistics(torch.eye(3)))
    for impossible in (torch.zeros(8, 8), -torch.eye(8)):
        with pytest.raises(ValueError, match="hessian_II: it is not positive definite with damp"):
            Gptq(grid=Uniform(bits=4)).quantize(weight(), WeightStatistics(impossible))
    with pytest.raises(ValueError, match="weight: it holds NaN or infinity"):
        Gptq().quantize(torch.tensor([[torch.nan]]))
