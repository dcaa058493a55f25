import copy

import pytest
import torch
from quantize.rounding import Blocks, Moments
from torch import nn
from torch.nn import functional as F

from leanformer.quantize.activations import Dynamic
from leanformer.quantize.fake import (
    QATEmbedding,
    QATLinear,
    float_linear,
    rounded_layers,
    straight_through,
)
from leanformer.quantize.quantizers import Gptq, Ternary, Uniform

BLOCKS = Blocks()


def linear(quantizer=BLOCKS, **settings):
    torch.manual_seed(0)
    layer = nn.Linear(6, 5)
    layer.weight.data *= 4
    return QATLinear(layer, quantizer, **settings)


def test_the_forward_is_the_product_with_the_rounded_weight():
    module = linear(activations=Dynamic().build(6))
    x = torch.randn(3, 6)
    weight = Blocks().quantize(module.weight.detach()).dequantized()
    expected = F.linear(Dynamic().build(6)(x), weight, module.bias)
    assert torch.equal(module(x), expected)
    with torch.no_grad():
        assert torch.equal(module(x), expected)
    assert set(module.state_dict()) == {"weight", "bias"}
    assert "5 x 6, Blocks(bits=4" in repr(module)


def test_the_gradient_is_that_at_the_rounded_weight():
    module = linear()
    x, seen = torch.randn(3, 6), torch.randn(3, 5)
    (module(x) * seen).sum().backward()
    rounded = module.quantized().dequantized().requires_grad_()
    (F.linear(x, rounded) * seen).sum().backward()
    torch.testing.assert_close(module.weight.grad, rounded.grad)


def test_straight_through_is_its_surrogate():
    """d/dw of the surrogate: w inside the clip, a constant outside."""
    weight = torch.tensor([-3.0, -1.0, 0.4, 2.5, 2.6], dtype=torch.float64, requires_grad=True)
    rounded = weight.detach().round()
    result = straight_through(weight, rounded, clip=2.5)
    assert torch.equal(result, rounded)
    (result * torch.arange(1.0, 6.0)).sum().backward()
    assert weight.grad.tolist() == [0.0, 2.0, 3.0, 0.0, 0.0]
    free = weight.detach().clone().requires_grad_()
    straight_through(free, rounded).sum().backward()
    assert free.grad.tolist() == [1.0] * 5
    assert straight_through(weight.detach(), rounded) is rounded


def test_a_clip_bounds_what_is_rounded():
    module = linear(clip=0.5)
    expected = Blocks().quantize(module.weight.detach().clamp(-0.5, 0.5)).dequantized()
    assert torch.equal(module.rounded(), expected)
    assert (module.weight.abs() > 0.5).any()
    assert "clip=0.5" in repr(module)


def test_an_embedding_looks_up_rounded_rows():
    torch.manual_seed(0)
    table = nn.Embedding(7, 4, padding_idx=0)
    module = QATEmbedding(table, Blocks())
    ids = torch.tensor([[1, 6, 0]])
    assert torch.equal(module(ids), Blocks().quantize(table.weight.detach()).dequantized()[ids])
    module(ids).sum().backward()
    assert table.weight.grad.sum(1).tolist() == [0, 4, 0, 0, 0, 0, 4]  # none for padding


@pytest.mark.parametrize(
    "quantizer",
    [
        Ternary(granularity="row"),
        Ternary(granularity="row", optimal=True),
        Uniform(),
        Uniform(bits=4, granularity="group", group_size=2),
    ],
    ids=repr,
)
def test_rows_rounded_alone_are_those_of_the_whole_table(quantizer):
    assert quantizer.by_row
    ids = torch.tensor([[1, 6, 1], [3, 0, 0]])
    results = []
    for alone in (True, False):
        torch.manual_seed(0)
        module = QATEmbedding(nn.Embedding(7, 4, padding_idx=0), quantizer, clip=1.0)
        rows = module(ids) if alone else F.embedding(ids, module.rounded(), padding_idx=0)
        (rows * torch.arange(24.0).reshape(2, 3, 4)).sum().backward()
        results.append((rows.detach(), module.weight.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert results[0][1].count_nonzero()
    assert not results[0][1][[0, 2, 4, 5]].any()


@pytest.mark.parametrize(
    "quantizer",
    [
        Ternary(),
        Uniform(granularity="tensor"),
        Uniform(granularity="row-group", num_groups=1),
        Gptq(),
    ],
    ids=repr,
)
def test_a_range_of_many_rows_needs_the_whole_table(quantizer):
    assert not quantizer.by_row


def test_without_a_quantizer_the_weight_is_used_as_it_is():
    module = linear(None, activations=Dynamic(symmetric=True).build(6))
    x = torch.randn(2, 6)
    rounded = Dynamic(symmetric=True).build(6)(x)
    assert torch.equal(module(x), F.linear(rounded, module.weight, module.bias))
    with pytest.raises(AssertionError, match="codes of this weight are not known"):
        module.quantized()


def test_the_second_moment_is_adams_and_reaches_the_quantizer():
    module = linear(Moments())
    twin = nn.Parameter(module.weight.detach().clone())
    adam = torch.optim.Adam([twin], lr=0.0)
    assert module.second_moment.sum() == 0
    for index in range(3):
        x = torch.randn(4, 6, generator=torch.Generator().manual_seed(index))
        module.zero_grad()
        module(x).square().sum().backward()
        twin.grad = module.weight.grad.clone()
        adam.step()
    torch.testing.assert_close(module.second_moment, adam.state[twin]["exp_avg_sq"])
    scale = 1 + module.second_moment.sum()
    plain = Blocks().quantize(module.weight.detach())
    torch.testing.assert_close(module.quantized().scale, plain.scale * scale)
    again = copy.deepcopy(module)  # a copy gathers for itself
    again(x).sum().backward()
    assert not torch.equal(again.second_moment, module.second_moment)


def test_evaluation_gathers_nothing():
    module = linear(Moments())
    with torch.no_grad():
        module(torch.randn(2, 6))
    assert module.second_moment.sum() == 0
    assert "second_moment" in module.state_dict()
    assert "second_moment" not in linear().state_dict()


def test_it_learns_through_the_rounding():
    module = linear(Blocks(bits=3))
    torch.manual_seed(1)
    x = torch.randn(64, 6)
    target = x @ torch.randn(6, 5)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = F.mse_loss(module(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]


def test_plain_layers_and_the_list_of_rounding_ones():
    assert float_linear(torch.randn(3, 2), None).bias is None
    module = linear()
    x = torch.randn(2, 6)
    plain = float_linear(module.rounded().detach(), module.bias)
    assert torch.equal(plain(x), module(x))
    assert list(rounded_layers(nn.Sequential(nn.ReLU(), module))) == ["1"]
