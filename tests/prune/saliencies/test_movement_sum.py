import torch
from torch import nn

from leanformer.prune.masked import Masked
from leanformer.prune.masks import Masks
from leanformer.prune.patterns import Blocks, Unstructured
from leanformer.prune.saliencies import Movement, MovementSum
from leanformer.prune.schedules import Cubic


def test_scores_are_those_that_sgd_learns() -> None:
    """`movement` with its scores trained by SGD, the masks the same all the time."""
    torch.manual_seed(0)
    linear = nn.Linear(6, 4)
    summed = Masked(nn.Linear(6, 4), Unstructured(), MovementSum())
    learnt = Masked(nn.Linear(6, 4), Unstructured(), Movement())
    for layer in (summed, learnt):
        layer.load_state_dict(linear.state_dict(), strict=False)
        layer.kept.copy_(torch.arange(24).reshape(4, 6) % 3 > 0)
    rates = [0.1, 0.1, 1.0]
    assert learnt.scores is not None
    parameters = [learnt.weight, learnt.bias, learnt.scores]
    sgd = torch.optim.SGD(
        [{"params": [p], "lr": r} for p, r in zip(parameters, rates, strict=True)]
    )
    other = torch.optim.SGD([summed.weight, summed.bias], lr=0.1)
    for x in torch.randn(5, 3, 6):
        for layer, optimizer in ((summed, other), (learnt, sgd)):
            optimizer.zero_grad()
            layer(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(summed.weight, learnt.weight)
    torch.testing.assert_close(summed.unit_scores(), learnt.unit_scores())


def test_a_unit_has_the_mean_of_its_weights() -> None:
    layer = Masked(nn.Linear(6, 4), Blocks(rows=2, columns=3), MovementSum())
    layer(torch.randn(3, 6)).square().mean().backward()
    assert layer.movement is not None
    torch.testing.assert_close(layer.unit_scores()[1, 1], layer.movement[2:, 3:].mean())


def test_a_removed_weight_keeps_its_value_and_may_come_back() -> None:
    torch.manual_seed(0)
    saliency, pattern = MovementSum(), Unstructured()
    layer = Masked(nn.Linear(6, 4), pattern, saliency)
    masks = Masks({"layer": layer}, saliency, pattern, Cubic(hold=0.0, cool=0.5), keep=0.25)
    weight = layer.weight.detach().clone()
    layer(torch.randn(3, 6)).square().mean().backward()
    masks.follow(40, 100)
    assert not layer.kept.all()
    assert torch.equal(layer.weight, weight)
    gone = tuple((~layer.kept).nonzero()[0])
    assert layer.movement is not None
    layer.movement[gone] = 100
    masks.follow(50, 100)
    assert layer.kept[gone]
    assert int(layer.kept.sum()) == 6
