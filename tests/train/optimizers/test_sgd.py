from typing import Any

import pytest
import torch
from torch import nn
from train.optimizers.seams import require_training_goes_on

from leanformer.train.optimizers import Sgd
from leanformer.train.optimizers.interface import Group


@pytest.mark.parametrize("nesterov", [True, False])
def test_three_steps_equal_the_equation(nesterov: bool) -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    made = Sgd(learning_rate=0.1, weight_decay=0.2, momentum=0.7, nesterov=nesterov)
    optimizer = made.build([Group([weight], decays=True)])
    expected, u = weight.tolist(), [0.0] * 2
    for t in (1, 2, 3):
        slopes = [t * 0.3, -0.7]
        weight.grad = torch.tensor(slopes, dtype=torch.float64)
        optimizer.step()
        for i, slope in enumerate(slopes):
            slope += 0.2 * expected[i]
            u[i] = 0.7 * u[i] + slope
            expected[i] -= 0.1 * (slope + 0.7 * u[i] if nesterov else u[i])
    assert weight.tolist() == pytest.approx(expected, rel=1e-12)


def test_it_trains_and_goes_on_after_a_kill(tmp_path: Any) -> None:
    require_training_goes_on(Sgd(learning_rate=0.05), tmp_path / "c")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"momentum": 1.0}, r"momentum: 1.0 is not at least 0 and below 1"),
        ({"momentum": 0.0, "nesterov": True}, "nesterov: it looks ahead along the momentum"),
        ({"learning_rate": -0.1}, "learning_rate: -0.1 is not above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sgd(**fields)
