import pytest
import torch

from leanformer.prune.criteria.weights import SoftMovement

SCORES = torch.linspace(-4, 4, 401)


def test_scores_above_the_threshold_are_kept_and_the_threshold_rises() -> None:
    soft = SoftMovement(threshold=0.5)
    shares = []
    for progress in (0.0, 0.5, 1.0):
        gate = soft.gate(SCORES, torch.ones(401), progress, True)
        assert torch.equal(gate, (SCORES.sigmoid() > 0.5 * progress).float())
        shares.append(float(gate.mean()))
    assert shares[0] == 1
    assert shares == sorted(shares, reverse=True)
    assert shares[2] == pytest.approx(0.5, abs=0.01)


def test_a_matrix_never_falls_silent() -> None:
    gate = SoftMovement(threshold=0.9).gate(SCORES - 10, torch.ones(401), 1.0, True)
    assert gate.sum() == 2  # one in two hundred
    assert gate[-2:].tolist() == [1.0, 1.0]


def test_gradients_go_straight_through_and_the_penalty_pushes_down() -> None:
    scores = torch.zeros(4, requires_grad=True)
    soft = SoftMovement(penalty_weight=8.0)
    soft.gate(scores, torch.ones(4), 1.0, True).sum().backward()
    assert scores.grad is not None
    assert scores.grad.tolist() == [1.0] * 4
    penalty = soft.penalty(scores, 0.5)
    assert penalty is not None
    assert penalty.item() == pytest.approx(8 * 0.5 * 0.5)
    scores.grad = None
    penalty.backward()
    assert (scores.grad > 0).all()
