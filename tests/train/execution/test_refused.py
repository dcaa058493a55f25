"""What ranks cannot do together is refused on all of them, and leaves the model whole."""

import copy
import functools
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from train.execution import layout_cases as cases

from leanformer.train import Supervised
from leanformer.train.loop import fit
from leanformer.train.memory import MemorySaver
from leanformer.train.parallel import Parallel
from leanformer.train.testing import on_ranks


def _compiled(zero: int) -> None:
    made = cases.tied()
    setup = cases.replace(made.setup, compile=True, parallel=Parallel(zero=zero))  # type: ignore[arg-type]
    fit(made.model, made.data, made.loss, setup)


def _reversible() -> None:
    made = cases.reversible()
    fit(made.model, made.data, made.loss, cases.replace(made.setup, parallel=Parallel(zero=1)))


class Contrasting(Supervised):
    additive = False


def _contrasting() -> None:
    made = cases.whole_batches()
    setup = cases.replace(made.setup, max_tokens_per_microbatch=10_000)
    fit(made.model, made.data, Contrasting("classification"), setup)


class HandingOn(Supervised):
    def next_carry(self, outputs: Any, batch: Any, carry: Any) -> Any:
        return {"last": torch.zeros(1)}


def _handing_on() -> None:
    made = cases.tied()
    fit(made.model, made.data, HandingOn("causal-lm"), made.setup)


class Silent(cases.Squeezed):
    def penalized(self) -> None:  # type: ignore[override]
        return None


def _silent_penalty() -> None:
    made = cases.classification()
    dense = made.model.bert.pooler.dense  # type: ignore[union-attr]
    made.model.add_module("silent", Silent(dense, dense))  # type: ignore[arg-type]
    fit(made.model, made.data, made.loss, cases.replace(made.setup, parallel=Parallel(zero=1)))


class Refusing(MemorySaver):
    def apply(self, model: nn.Module, loss: Any) -> Any:
        return nullcontext()

    def optimizer(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
        raise ValueError("refusing: not with this optimizer")


def _refused_saver() -> None:
    made = cases.tied()
    before = copy.deepcopy(made.model.state_dict())
    setup = cases.replace(made.setup, memory=(Refusing(),), parallel=Parallel(zero=3))
    try:
        fit(made.model, made.data, made.loss, setup)
    finally:  # whoever refuses leaves the model whole
        after = copy.deepcopy(made.model).state_dict()
        assert all(after[name].equal(tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (_refused_saver, "refusing: not with this optimizer"),
        (functools.partial(_compiled, 2), "compile: weights that zero = 2 shares out"),
        (_reversible, "parallel: zero = 1: all layers of a reversible decoder run within"),
        (_contrasting, "Contrasting compares the examples of a batch with each other"),
        (_handing_on, "HandingOn hands something on from step to step"),
        (_silent_penalty, "Silent adds a penalty and does not say of which weights"),
    ],
)
def test_what_does_not_go_together_is_refused_on_every_rank(function: Any, message: str) -> None:
    assert all(message in said for said in on_ranks(2, _said, function))


def _said(function: Any) -> str:
    with pytest.raises(ValueError) as raised:
        function()
    return str(raised.value)
