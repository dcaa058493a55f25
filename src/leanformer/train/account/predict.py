"""The account of a training step, predicted without running it: it takes no memory of its own.

States are formulas; activations are those of a forward pass of tensors that have only shapes.
Over N ranks, ZeRO divides what it shares out: each tensor is cut along its first axis, and the
account is of the rank that has the most. Temporary memory is not predicted.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from leanformer.core.machine.device import device_of
from leanformer.data import Batch
from leanformer.train.account.account import Account, as_trained
from leanformer.train.account.saved_tensors import saved_tensors
from leanformer.train.loss import Loss
from leanformer.train.optimizers.interface import Group, grouped
from leanformer.train.precision import Precision
from leanformer.train.setup import TrainSetup

_ELSEWHERE = ("swap-layers", "offload-activations", "offload-optimizer")


def predict_memory(
    model: nn.Module, loss: Loss, batch: Batch, setup: TrainSetup, ranks: int = 1
) -> Account:
    """The account of a step that is not run; takes no memory of its own.

    Args:
        model: On any device; the account is of one where each operation keeps what it keeps there.
        loss: What is minimized.
        batch: A microbatch of one rank.
        setup: How to train.
        ranks: Processes that share the training.

    Raises:
        ValueError: A memory saver moves something elsewhere at times that no formula knows, or the
            plan of `setup.parallel` does not fit the ranks.
    """
    elsewhere = [name for name in map(_name, setup.memory) if name in _ELSEWHERE]
    if elsewhere:
        raise ValueError(
            f"predict_memory: {elsewhere[0]} moves memory elsewhere; measure_memory counts what "
            "stays"
        )
    plan = setup.parallel.fitted(ranks)
    zero, parts = plan.zero, plan.data // plan.replicate
    parameters = [*model.parameters(), *loss.parameters()]
    trained = [p for p in parameters if p.requires_grad]
    buffers = sum(_bytes(buffer) for buffer in model.buffers())
    return Account(
        weights=buffers + sum(_share(p, parts if zero == 3 else 1) for p in parameters),
        gradients=sum(_share(p, parts if zero >= 2 else 1) for p in trained),
        optimizer=_states(model, loss, setup, parts if zero >= 1 else 1),
        activations=_fake_activations(model, loss, batch, setup),
    )


def _name(saver: Any) -> str:
    return str(saver.technique)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _share(tensor: Tensor, parts: int) -> int:
    """Bytes of the largest part of a tensor that is cut along its first axis."""
    if tensor.dim() == 0:
        return _bytes(tensor)
    return -(-len(tensor) // parts) * math.prod(tensor.shape[1:]) * tensor.element_size()


def _states(model: nn.Module, loss: Loss, setup: TrainSetup, parts: int) -> int:
    """Bytes of the optimizer's state, found by a step of parameters that have one or two elements
    along each axis: what has the shape of its parameter grows with it.
    """
    groups: list[Group] = []
    owners: dict[Tensor, nn.Parameter] = {}
    for group in grouped([model, loss]):
        small = []
        for name, parameter in group.parameters:
            shape = [min(2, size) for size in parameter.shape]
            stand_in = nn.Parameter(torch.zeros(shape, dtype=parameter.dtype))
            stand_in.grad = torch.zeros_like(stand_in)
            owners[stand_in] = parameter
            small.append((name, stand_in))
        groups.append(Group(small, group.decays, group.rate))
    optimizer = setup.optimizer.build(groups)
    optimizer.step()
    total = 0
    for known, entries in optimizer.state.items():
        owner = owners[known]
        for entry in entries.values():
            if isinstance(entry, Tensor):
                grows = entry.shape == known.shape and known.dim() > 0
                factor = _share(owner, parts) // owner.element_size() if grows else 1
                total += entry.element_size() * (factor if grows else entry.numel())
    return total


def _fake_activations(model: nn.Module, loss: Loss, batch: Batch, setup: TrainSetup) -> int:
    """Bytes that a forward pass keeps, of tensors that have shapes and no elements."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    known: dict[int, Any] = {}
    for part in (model, loss):
        for tensor in (*part.parameters(), *part.buffers()):
            known[id(tensor)] = mode.from_tensor(tensor)
    fake, ours = copy.deepcopy(model, known), copy.deepcopy(loss, known)
    return _kept(fake, ours, batch, setup, mode)


def _kept(
    model: nn.Module, loss: Loss, batch: Batch, setup: TrainSetup, mode: FakeTensorMode
) -> int:
    fake = Batch(
        {name: mode.from_tensor(tensor) for name, tensor in batch.inputs.items()},
        None if batch.labels is None else mode.from_tensor(batch.labels),
        batch.index,
    )
    model.train()
    targets = int(loss.counts(batch)["target"])
    precision = Precision(setup.precision, device_of(model).type)
    with as_trained(model, loss, batch, setup, targets), mode:
        with saved_tensors(model) as kept, precision.autocast():
            outputs = loss.outputs(model, fake, {})
            terms = loss.terms(outputs, fake)
        for one in (*tree_leaves(outputs), *(term.total for term in terms)):
            if isinstance(one, Tensor):
                kept.note(one)
        return kept.bytes
