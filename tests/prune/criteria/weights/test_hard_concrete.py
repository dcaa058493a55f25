import pytest
import torch

from leanformer.prune.criteria.weights import HardConcrete
from leanformer.prune.criteria.weights.hard_concrete import concrete

DRAWS = torch.rand(200_000, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)


@pytest.mark.parametrize("score", [-2.0, 0.0, 2.197])
def test_the_penalty_is_the_probability_of_an_open_gate(score: float) -> None:
    gates = concrete(torch.full_like(DRAWS, score), DRAWS)
    assert gates.min() >= 0
    assert gates.max() <= 1
    penalty = HardConcrete(penalty_weight=3.0).penalty(torch.tensor([score]), 0.5)
    assert penalty is not None
    assert float((gates > 0).float().mean()) == pytest.approx(float(penalty) / 1.5, abs=5e-3)


def test_afterwards_gates_are_fixed_and_zero_for_low_scores() -> None:
    scores = torch.tensor([-5.0, 0.0, 5.0])
    gate = HardConcrete()
    assert torch.equal(
        gate.gate(scores, torch.ones(3), 1.0, False), gate.gate(scores, torch.ones(3), 1.0, False)
    )
    assert gate.gate(scores, torch.ones(3), 1.0, False).tolist() == pytest.approx([0, 0.5, 1])


def test_gradients_reach_the_scores_through_the_draws() -> None:
    torch.manual_seed(0)
    scores = torch.zeros(1000, requires_grad=True)
    HardConcrete().gate(scores, torch.ones(1000), 1.0, True).sum().backward()
    assert scores.grad is not None
    assert (scores.grad >= 0).all()
    assert scores.grad.mean() > 0.1
