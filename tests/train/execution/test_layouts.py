"""Every layout gives what one process gives, in float64 to the last digits; and a layout that is
wrong by one sum does not."""

import copy
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch._C._distributed_c10d import GradBucket
from torch.distributed.fsdp import FSDPModule, fully_shard
from train.execution import layout_cases as cases

from leanformer.train import Supervised
from leanformer.train.execution import data_parallel, one_device
from leanformer.train.execution.data_parallel import DataParallel
from leanformer.train.loop import fit
from leanformer.train.loss import count
from leanformer.train.optimizers import lamb
from leanformer.train.optimizers.norms import local_piece
from leanformer.train.parallel import Parallel
from leanformer.train.testing import Difference, Trained, compare_layouts, on_ranks, trace
from leanformer.train.testing.layouts import Trace, difference

TWO = [Parallel(data=2, zero=zero) for zero in (0, 1, 2, 3)]
THREE = [Parallel(data=3, zero=zero) for zero in (0, 1, 2, 3)]
HYBRID = Parallel(data=4, zero=3, replicate=2)
D2, Z21, Z22, Z23 = TWO
D3, Z31, Z32, Z33 = THREE
Make = Callable[[], Trained]


@pytest.mark.parametrize(
    ("make", "layouts"),
    [
        (cases.tied, [D2, Z21, Z23, Z32, HYBRID]),
        (cases.tagging, [D3, Z22, Z33]),
        (cases.untied, [D2, Z23]),
        (cases.reversible, [D2]),
        (cases.masked, [D2, Z22, Z33]),
        (cases.with_unused, [D2, Z21, Z23]),
        (cases.frozen, [D2, Z22, Z23]),
        (cases.whole_batches, [Z21, Z22]),
        (cases.projected, [D2, Z21, Z23]),
        (cases.with_lamb, [D2, Z23]),
        (cases.with_lars, [Z32]),
        (cases.stopped_early, [D2, Z22, Z23]),
        (cases.evaluated_to_the_end, [Z21, Z23]),
        (cases.scheduled, [D2, Z21, Z33]),
    ],
)
def test_layouts_give_what_one_process_gives(make: Make, layouts: list[Parallel]) -> None:
    for found in compare_layouts(make, layouts):
        found.require_exact()


def test_cases_are_what_they_are_meant_to_be() -> None:
    """Several microbatches with fewer rows than ranks, clipping in every step, an early stop."""
    made = cases.tied()
    parts = [[len(part.index) for part in _batches(made, 3).at(step)] for step in range(3)]
    assert any(len(step) > 1 for step in parts)
    assert any(rows < 3 for step in parts for rows in step)
    found = trace(cases.tied)
    assert min(found.norms) > 0.5
    stopped = trace(cases.stopped_early)
    assert 2 < len(stopped.losses) < 6
    assert len({quality for _, quality in stopped.qualities}) > 1


def _batches(made: Trained, ranks: int) -> Any:
    from leanformer.train.batches import ShuffledBatches

    setup = made.setup
    most = setup.max_tokens_per_microbatch
    data: Any = made.data
    size = setup.batch_size
    return ShuffledBatches(data, batch_size=size, max_tokens=most, seed=0, ranks=ranks)


# What a wrong layout would do, each in one place.


def _not_added(state: None, bucket: GradBucket) -> torch.futures.Future[Tensor]:
    done: torch.futures.Future[Tensor] = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


def _counted_alone(self: Supervised, batch: Any) -> dict[str, Tensor]:
    """The units of a rank's own rows, as if all ranks had as many: a mean of means."""
    rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    own = batch.take(list(range(rank, len(batch.index), ranks)) or [0])
    return {unit: count(own, unit) * ranks for unit in ("example", "token", "target")}  # type: ignore[arg-type]


def _local_norms(self: Any, tensors: list[Tensor]) -> list[Tensor]:
    return [torch.linalg.vector_norm(local_piece(tensor)) for tensor in tensors]


def _alone(tensors: Any, *, like: Any = None) -> list[Tensor]:
    return [torch.linalg.vector_norm(local_piece(tensor)) for tensor in tensors]


def _always_counted(self: Any, whole: Any) -> tuple[Any, float]:
    rows = list(range(self.ranks.rank, len(whole.index), self.ranks.count))
    return whole.take(rows or [0]), 1.0


FAULTS: dict[str, tuple[Make, Parallel, Any, str, Any]] = {
    "an all-reduce is left out": (cases.tied, D3, data_parallel, "_added", _not_added),
    "gradients are divided once more": (
        cases.tied,
        Z32,
        FSDPModule,
        "set_gradient_divide_factor",
        lambda self, factor: None,
    ),
    "the loss's own gradients are not added up": (
        cases.projected,
        Z33,
        DataParallel,
        "_apart",
        lambda self: [],
    ),
    "means are averaged": (cases.tagging, D3, Supervised, "counts", _counted_alone),
    "a rank clips by its own norm": (cases.tied, Z33, DataParallel, "norms", _local_norms),
    "a rank's LAMB takes its own norms": (cases.with_lamb, Z33, lamb, "whole_norms", _alone),
    "a row that stands in is counted": (cases.tied, Z31, DataParallel, "_rows", _always_counted),
    "each rank begins a step's chance anew": (
        cases.masked,
        D3,
        one_device,
        "transformed",
        lambda loss, parts: [loss.transform_batch(part) for part in parts],
    ),
}


def _with_faults(expected: dict[str, Trace]) -> dict[str, Difference]:
    found = {}
    for name, (make, layout, place, attribute, wrong) in FAULTS.items():
        with mock.patch.object(place, attribute, wrong):
            found[name] = difference(layout, trace(make, layout), expected[name])
    return found


def test_a_wrong_layout_is_found() -> None:
    expected = {name: trace(fault[0], Parallel()) for name, fault in FAULTS.items()}
    for ranks in on_ranks(3, _with_faults, expected, seconds=120):
        for name, found in ranks.items():
            assert not found.exact(), name
            if "norm" not in name:  # gradients show it at once, and by far
                assert found.gradient > 1e-3, name
            else:
                assert found.weights > 1e-6, name
            with pytest.raises(AssertionError, match="does not give what one process gives"):
                found.require_exact()


_HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def _description(model: nn.Module) -> dict[str, Any]:
    """What must be as before: classes, hooks, attributes, and the parameter objects."""
    return {
        name: (
            type(module),
            {hooks: list(getattr(module, hooks).values()) for hooks in _HOOKS},
            sorted(set(vars(module)) - {"training"}),
            [id(parameter) for parameter in module._parameters.values()],
        )
        for name, module in model.named_modules()
    }


def _plain_again(layouts: list[Parallel]) -> None:
    for layout in layouts:
        made = cases.evaluated_to_the_end()
        model: Any = made.model
        before = _description(model)
        setup = cases.replace(made.setup, parallel=layout)
        fit(model, made.data, made.loss, setup, evaluate=made.evaluate, keep_best=False)
        after = _description(model)
        assert after == before, [
            (layout, name, after[name], before[name])
            for name in before
            if after[name] != before[name]
        ][:2]
        assert model.lm_head.weight is model.transformer.wte.weight
        assert all(p.grad is None and type(p) is nn.Parameter for p in model.parameters())
        ids = torch.arange(6)[None]
        expected = model(input_ids=ids).logits
        assert torch.equal(copy.deepcopy(model)(input_ids=ids).logits, expected)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)  # which writes on rank 0 alone
            if torch.distributed.get_rank() == 0:
                read = type(model).from_pretrained(folder, dtype=torch.float64)
                assert torch.equal(read(input_ids=ids).logits, expected)
        model.load_state_dict(copy.deepcopy(model.state_dict()))
        assert torch.equal(model(input_ids=ids).logits, expected)
        # a backward pass adds nothing up over the ranks any more
        if torch.distributed.get_rank() == 0:
            model(input_ids=ids, labels=ids).loss.backward()
            assert model.lm_head.weight.grad is not None
        model.zero_grad()
        fully_shard(model)
        assert torch.allclose(model(input_ids=ids).logits, expected, rtol=1e-12)


def test_the_model_is_a_plain_one_afterwards_on_every_rank() -> None:
    on_ranks(2, _plain_again, TWO)


def _other_weights(zero: int) -> Trace:
    def make() -> Trained:
        made = cases.projected()
        with torch.no_grad():
            for parameter in [*made.model.parameters(), *made.loss.parameters()]:
                parameter.add_(torch.distributed.get_rank())
        return made

    return trace(make, Parallel(data=2, zero=zero))


@pytest.mark.parametrize("zero", [0, 3])
def test_all_ranks_begin_with_the_weights_of_rank_0(zero: int) -> None:
    expected = trace(cases.projected)
    for found in on_ranks(2, _other_weights, zero):
        difference(Parallel(data=2, zero=zero), found, expected).require_exact()  # type: ignore[arg-type]
