import torch

from leanformer.prune.criteria.interface import GradientStatistics
from leanformer.prune.criteria.weights import BrainDamage
from leanformer.prune.criteria.weights.brain_damage import saliency


def test_it_is_the_change_of_a_quadratic_loss_at_its_minimum() -> None:
    torch.manual_seed(0)
    minimum, curvature = torch.randn(3, 4).double(), torch.rand(3, 4).double()

    def loss(weight: torch.Tensor) -> torch.Tensor:
        return 0.5 * (curvature * (weight - minimum) ** 2).sum()

    scores = saliency(minimum, curvature)
    for index in range(12):
        without = minimum.flatten().clone()
        without[index] = 0
        torch.testing.assert_close(scores.flatten()[index], loss(without.reshape(3, 4)))


def test_the_curvature_is_the_mean_square_of_gradients() -> None:
    weight = torch.tensor([[2.0, -2.0]])
    statistics = GradientStatistics(
        gradient_OI=torch.zeros(1, 2), square_OI=torch.tensor([[1.0, 3.0]])
    )
    assert BrainDamage().score(weight, statistics).tolist() == [[2.0, 6.0]]
