"""fp16 and bf16 on several ranks: ranks agree on the scale and on steps that are left out; numbers are
as near to one process as half precision is to itself."""

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from train.execution import layout_cases as cases

from leanformer.train import precision as precisions
from leanformer.train.parallel import Parallel
from leanformer.train.testing import Trained, on_ranks, trace
from leanformer.train.testing.layouts import Trace, difference

LAYOUTS = [Parallel(data=2, zero=zero) for zero in (0, 1, 3)]


class Spike(nn.Module):
    """Adds nothing, and the gradient of one row of its weight overflows at a scale of 2^16."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        one = self.shift[0].sum() * 1.0
        if one.requires_grad:
            one.register_hook(lambda slope: slope * 1e35)
        return x + (one - one.detach()).to(x.dtype)


def _fp16(case: str) -> Trained:
    made: Trained = getattr(cases, case)()
    model: Any = made.model.float()
    made.loss.float()
    model.classifier = nn.Sequential(Spike(), model.classifier)
    return cases.replace(
        made, setup=cases.replace(made.setup, precision="fp16", max_grad_norm=0, steps=9)
    )


def _overflowing(case: str, layouts: list[Parallel]) -> list[Trace]:
    return [trace(lambda: _fp16(case), layout) for layout in layouts]


@pytest.mark.parametrize("case", ["classification", "projected"])
def test_ranks_leave_out_the_same_steps_where_one_part_overflows(case: str) -> None:
    """Which steps overflow depends on the rows of a microbatch, so on the layout; all ranks must
    leave out the same ones, and keep the same weights."""
    assert 0 < trace(lambda: _fp16(case), Parallel()).left_out < 9
    first, second = on_ranks(2, _overflowing, case, LAYOUTS)
    for layout, one, other in zip(LAYOUTS, first, second, strict=True):
        assert 0 < one.left_out < 9, layout
        assert one.left_out == other.left_out, layout
        assert difference(layout, one, other).weights == 0, layout
        assert one.losses == other.losses, layout


def _bf16() -> Trained:
    made = cases.classification()
    made.model.float()
    return cases.replace(made, setup=cases.replace(made.setup, precision="bf16"))


def _in_bf16(layouts: list[Parallel]) -> list[Trace]:
    with mock.patch.object(precisions, "multiplies_bf16", return_value=True):
        return [trace(_bf16, layout) for layout in layouts]


def test_bf16_is_as_near_as_bf16_is() -> None:
    expected = _in_bf16([Parallel()])[0]
    for ranks in on_ranks(2, _in_bf16, LAYOUTS):
        for layout, found in zip(LAYOUTS, ranks, strict=True):
            error = difference(layout, found, expected)
            assert error.gradient < 5e-2, layout
            assert error.loss < 2e-2, layout
            assert error.norm < 5e-2, layout
