import torch

from leanformer.prune.criteria.interface import GradientStatistics
from leanformer.prune.criteria.weights import WeightTaylor


def test_it_is_the_change_of_a_linear_loss() -> None:
    """A loss that is linear in the weights changes by exactly this when one becomes 0."""
    torch.manual_seed(0)
    weight, slope = torch.randn(3, 4), torch.randn(3, 4)
    scores = WeightTaylor().score(weight, GradientStatistics(gradient_OI=slope, square_OI=slope**2))
    for index in range(12):
        without = weight.flatten().clone()
        without[index] = 0
        change = (without * slope.flatten()).sum() - (weight * slope).sum()
        torch.testing.assert_close(scores.flatten()[index], change.abs())
