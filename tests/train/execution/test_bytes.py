"""What ranks send and hold, counted in numbers and equal to the formulas of `train.parallel`.

Sizes are even, so that no part is padded on two ranks.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch.distributed as dist
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from train.execution import layout_cases as cases

from leanformer.train.execution import make_execution
from leanformer.train.execution.sharding import Sharding
from leanformer.train.loop import fit
from leanformer.train.optimizers.norms import local_piece
from leanformer.train.parallel import Parallel
from leanformer.train.testing import on_ranks

STEPS, RANKS = 3, 2


def _model() -> Any:
    even = {"vocab_size": 62, "intermediate_size": 36, "num_labels": 2}
    return cases.bert(**even)


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Numbers that collectives take or give, by what they are called."""
    found: Counter[str] = Counter()

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **settings: Any) -> Any:
            tensors = [one for one in (*args, *settings.values()) if isinstance(one, Tensor)]
            found[name] += max(one.numel() for one in tensors)  # of what goes in and comes out
            return real(*args, **settings)

        return call

    # torch 2.13 renamed the last two
    names = {
        "all-reduce": ["all_reduce"],
        "gather": ["all_gather_single", "all_gather_into_tensor"],
        "scatter": ["reduce_scatter_single", "reduce_scatter_tensor"],
    }
    patches = []
    for name, candidates in names.items():
        real = next(one for one in candidates if hasattr(dist, one))
        patches.append(mock.patch.object(dist, real, counting(name, getattr(dist, real))))
    for patch in patches:
        patch.start()
    yield found
    for patch in patches:
        patch.stop()


def _sent(zero: Any) -> tuple[Counter[str], int, int, int]:
    made, model = cases.classification(), _model()
    setup = replace(made.setup, steps=STEPS, parallel=Parallel(zero=zero))
    microbatches: list[int] = []

    def observed(*args: Any) -> Any:
        execution: Any = make_execution(*args)
        real = execution.forward_backward
        execution.forward_backward = lambda parts, carry: (
            microbatches.append(len(parts)),
            real(parts, carry),
        )[1]
        return execution

    with _counted() as found:
        labels = [label % 2 for label in made.data.labels]  # type: ignore[union-attr]
        data = replace(made.data, labels=labels)  # type: ignore[type-var]
        fit(model, data, made.loss, setup, execute=observed)
    parameters = list(model.parameters())
    return found, sum(p.numel() for p in parameters), len(parameters), sum(microbatches)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_what_is_sent_is_what_the_formula_says(zero: int) -> None:
    """In a ring each number of a gather or a scatter is sent once, and of an all-reduce twice: 2 P
    in a step; the gradients of each microbatch under zero 2; 3 P in each microbatch under zero 3.
    """
    for found, size, tensors, microbatches in on_ranks(RANKS, _sent, zero):
        assert microbatches > STEPS
        few = STEPS + tensors  # each step's loss, and whether the weights are finite in the end
        few += 0 if zero == 0 else STEPS * tensors  # norms
        if zero == 0:
            assert found == {"all-reduce": STEPS * size + few}
            continue
        assert found == {
            "all-reduce": few,
            "gather": {1: STEPS, 2: STEPS, 3: 2 * microbatches}[zero] * size,
            "scatter": {1: STEPS, 2: microbatches, 3: microbatches}[zero] * size,
        }


def _bytes(tensors: Iterator[Tensor | None]) -> int:
    storages = [one.untyped_storage() for one in tensors if one is not None]
    return sum({one.data_ptr(): one.nbytes() for one in storages}.values())  # shared ones once


def _held(zero: Any) -> tuple[list[dict[str, int]], int]:
    """The bytes that a rank holds before the last microbatch of a step, and when it is done."""
    made, model = cases.classification(), _model().float()
    setup = replace(made.setup, steps=2, parallel=Parallel(zero=zero))
    held: list[dict[str, int]] = []
    begin = Sharding.begin_microbatch
    execution: Any = None

    def state() -> dict[str, int]:
        groups = [
            parameter
            for unit in model.modules()
            if isinstance(unit, FSDPModule)
            for group in unit._get_fsdp_state()._fsdp_param_groups  # type: ignore[attr-defined]
            for parameter in group.fsdp_params
        ]
        whole = [one._unsharded_param for one in groups if hasattr(one, "_unsharded_param")]
        parameters = execution.parameters
        return {
            "parts of weights": _bytes(local_piece(p.detach()) for p in parameters),
            "whole weights": _bytes(one.detach() for one in whole),
            "parts of gradients": _bytes(
                None if p.grad is None else local_piece(p.grad) for p in parameters
            ),
            "whole gradients": _bytes(one.grad for one in whole),
            "moments": _bytes(
                local_piece(one)
                for entry in execution.optimizer.state.values()
                for one in entry.values()
                if one.dim()
            ),
        }

    def observed(*args: Any) -> Any:
        nonlocal execution
        execution = make_execution(*args)
        step = execution.step
        execution.step = lambda factor: (held.append(state()), step(factor))[1]
        return execution

    def before(self: Sharding, last: bool) -> None:
        if last:
            held.append(state())
        begin(self, last)

    labels = [label % 2 for label in made.data.labels]  # type: ignore[union-attr]
    with mock.patch.object(Sharding, "begin_microbatch", before):
        fit(model, replace(made.data, labels=labels), made.loss, setup, execute=observed)  # type: ignore[type-var]
    return held[-2:], 4 * sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("zero", [1, 2, 3])
def test_a_rank_holds_what_the_formula_says(zero: int) -> None:
    for (meanwhile, ended), size in on_ranks(RANKS, _held, zero):
        part = size // RANKS
        assert ended == {
            "parts of weights": part,
            "whole weights": 0,
            "parts of gradients": part,
            "whole gradients": 0,
            "moments": 2 * part,
        }
        assert meanwhile == {
            "parts of weights": part,
            "whole weights": 0 if zero == 3 else size,
            "parts of gradients": 0 if zero == 1 else part,
            "whole gradients": size if zero == 1 else 0,
            "moments": 2 * part,
        }
