import math
from typing import Any

import pytest
import torch
from torch import nn

from leanformer.train.optimizers import AdamW
from leanformer.train.optimizers.interface import Group


@pytest.mark.parametrize("decays", [True, False])
def test_three_steps_equal_the_equation(decays: bool) -> None:
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    made = AdamW(learning_rate=0.1, weight_decay=0.2, betas=(0.8, 0.95), eps=1e-6)
    optimizer = made.build([Group([weight], decays)])
    expected, m, v = weight.tolist(), [0.0] * 3, [0.0] * 3
    for t in (1, 2, 3):
        slopes = [t * 0.3, -0.7, 0.01]
        weight.grad = torch.tensor(slopes, dtype=torch.float64)
        optimizer.step()
        for i, slope in enumerate(slopes):
            m[i] = 0.8 * m[i] + 0.2 * slope
            v[i] = 0.95 * v[i] + 0.05 * slope**2
            size = m[i] / (1 - 0.8**t) / (math.sqrt(v[i] / (1 - 0.95**t)) + 1e-6)
            expected[i] -= 0.1 * (0.2 * decays * expected[i] + size)
    assert weight.tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 0}, "learning_rate: 0 is not above 0"),
        ({"weight_decay": -1.0}, "weight_decay: -1.0 is not at least 0"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\]: 1.0 is not at least 0 and below 1"),
        ({"eps": 0.0}, "eps: 0.0 is not above 0"),
    ],
)
def test_what_is_out_of_range_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdamW(**fields)
