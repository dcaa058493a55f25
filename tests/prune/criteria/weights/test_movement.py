import torch

from leanformer.prune.criteria.weights import Movement


def test_gradients_are_those_of_the_paper() -> None:
    """dL/dS = dL/dW' · W everywhere, and dL/dW = dL/dW' · M."""
    torch.manual_seed(0)
    weight = torch.randn(3, 4, requires_grad=True)
    scores = torch.zeros(3, 4, requires_grad=True)
    kept, slope = (torch.rand(3, 4) > 0.5).float(), torch.randn(3, 4)
    masked = weight * Movement().gate(scores, kept, 1.0, True)
    assert torch.equal(masked, weight * kept)
    (masked * slope).sum().backward()
    assert scores.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(scores.grad, slope * weight.detach())
    torch.testing.assert_close(weight.grad, slope * kept)


def test_a_score_grows_when_its_weight_moves_away_from_zero() -> None:
    weight = torch.tensor([1.0, 1.0], requires_grad=True)
    scores = torch.zeros(2, requires_grad=True)
    target = torch.tensor([2.0, 0.5])
    optimizer = torch.optim.SGD([weight, scores], lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        masked = weight * Movement().gate(scores, torch.ones(2), 0.0, True)
        (masked - target).square().sum().backward()
        optimizer.step()
    assert scores[0] > 0 > scores[1]


def test_it_has_no_penalty() -> None:
    assert Movement().penalty(torch.zeros(2), 1.0) is None
