import pytest
import torch
from torch import nn
from torch.nn import functional as F

from leanformer.prune.criteria.weights import (
    BrainDamage,
    BrainSurgeon,
    HardConcrete,
    Movement,
    WeightMagnitude,
    WeightTaylor,
)
from leanformer.prune.masks.masked_linear import MaskedLinear
from leanformer.prune.patterns import Blocks, Unstructured


def layer(criterion=None, pattern=None, bias=True):
    torch.manual_seed(0)
    linear = nn.Linear(6, 4, bias=bias)
    return MaskedLinear(linear, pattern or Unstructured(), criterion or WeightMagnitude())


def test_what_is_not_kept_is_not_multiplied_and_gets_no_gradient():
    module, x = layer(), torch.randn(3, 6)
    module.kept[1, 2] = False
    weight = module.weight.detach().clone()
    weight[1, 2] = 0
    assert torch.equal(module(x), F.linear(x, weight, module.bias))
    module(x).sum().backward()
    assert module.weight.grad[1, 2] == 0
    assert module.weight.grad.count_nonzero() == 23
    assert set(module.state_dict()) == {"weight", "bias", "kept"}


def test_learned_scores_are_a_parameter_of_units():
    module = layer(Movement(), Blocks(rows=2, columns=3))
    assert module.scores.shape == (2, 2)
    module.kept[0, 1] = False
    module(torch.randn(3, 6)).sum().backward()
    assert module.scores.grad.count_nonzero() == 4  # those of removed blocks too
    assert torch.equal(module.unit_scores(), module.scores.detach())


def told(criterion):
    """A layer after three backward passes with a row removed, and the gradient of each."""
    module, x = layer(criterion), torch.randn(3, 6)
    module.kept[0] = False
    for _ in range(3):
        module.zero_grad()
        module(x).square().sum().backward()
    masked = (module.weight * module.mask()).detach().requires_grad_()
    F.linear(x, masked, module.bias.detach()).square().sum().backward()
    return module, masked.grad


def test_statistics_are_running_means_of_gradients_of_the_masked_weight():
    module, gradient = told(BrainDamage())
    torch.testing.assert_close(module.square, gradient**2 * (1 - 0.999**3))
    expected = 0.5 * module.square * module.weight.detach() ** 2
    torch.testing.assert_close(module.unit_scores(), expected)
    module, gradient = told(WeightTaylor())
    torch.testing.assert_close(module.gradient, gradient * (1 - 0.9**3))
    expected = (module.gradient * module.weight.detach()).abs()
    torch.testing.assert_close(module.unit_scores(), expected)


@pytest.mark.parametrize(
    ("criterion", "names"),
    [
        (WeightMagnitude(), set()),
        (BrainDamage(), {"square"}),
        (WeightTaylor(), {"gradient"}),
        (BrainSurgeon(block_size=2), {"fisher"}),
        (Movement(), {"scores"}),
    ],
    ids=repr,
)
def test_no_statistics_are_kept_that_the_criterion_does_not_need(criterion, names):
    assert set(layer(criterion).state_dict()) == {"weight", "bias", "kept"} | names


@pytest.mark.parametrize("criterion", [WeightMagnitude(), Movement(), HardConcrete()], ids=repr)
@pytest.mark.parametrize("bias", [True, False])
def test_the_linear_layer_computes_the_same(criterion, bias):
    module, x = layer(criterion, bias=bias), torch.randn(3, 6)
    module.kept[2:] = False
    if module.scores is not None:
        module.scores.data.normal_()
    plain = module.train().as_linear()
    assert type(plain) is nn.Linear
    assert plain.training
    assert torch.equal(plain(x), module.eval()(x))


def test_a_pattern_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not tile a weight of 4 x 6"):
        layer(pattern=Blocks(rows=4, columns=4))
