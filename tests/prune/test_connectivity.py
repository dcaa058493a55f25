import pytest
import torch
from torch import Tensor, nn

from leanformer.prune.connectivity import barrier, mixed


def weights(value: float) -> dict[str, Tensor]:
    return {"weight": torch.tensor([[value]]), "bias": torch.zeros(1)}


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (lambda x: -((x - 1) ** 2), 0.0),  # one valley: the middle is better than its ends
        (lambda x: -((x**2 - 1) ** 2), 1.0),  # two valleys at -1 and 1 with a hill of 1 between
        (lambda x: 3 * x, 0.0),  # a slope
    ],
)
def test_it_is_the_height_of_the_hill_between(quality: object, expected: float) -> None:
    model = nn.Linear(1, 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = barrier(
        model,
        weights(1.0),
        weights(-1.0),
        lambda m: float(quality(m.weight.item())),  # type: ignore[operator]
    )
    assert found == pytest.approx(expected, abs=1e-6)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_counts_are_not_mixed_and_ends_are_themselves() -> None:
    first = {"a": torch.tensor([2.0]), "n": torch.tensor(7)}
    second = {"a": torch.tensor([4.0]), "n": torch.tensor(9)}
    assert mixed(first, second, 0.25)["a"].item() == 3.5
    assert mixed(first, second, 0.0)["a"].item() == 4.0
    assert mixed(first, second, 0.25)["n"].item() == 7


def test_two_points_see_nothing() -> None:
    with pytest.raises(ValueError, match="points: 2 sees nothing between the ends"):
        barrier(nn.Linear(1, 1), weights(0), weights(1), lambda m: 0.0, points=2)
