"""The account of a training step's memory: predicted without running it, and measured.

    weights        parameters and buffers
    gradients      one for each trained parameter
    optimizer      its state: two moments for Adam
    activations    what the forward pass keeps for the backward pass, and its outputs
    temporary      the peak, less all of these: gradients of activations, buffers of kernels; 0
                   where the others are never all there at once

    predict_memory(model, loss, batch, setup)      formulas, and a forward pass of fake tensors
    measure_memory(model, loss, batch, setup)      two real steps of a copy

Over N ranks, ZeRO divides what it shares out: each tensor is cut along its first axis, and the
account is of the rank that has the most. Temporary memory is not predicted.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from leanformer.core.machine.device import device_of
from leanformer.data import Batch
from leanformer.train.attention import short_attention
from leanformer.train.execution import OneDevice
from leanformer.train.loss import Loss, loss_share
from leanformer.train.memory.chunked_cross_entropy import ChunkedCrossEntropy
from leanformer.train.memory.live_bytes import LiveBytes
from leanformer.train.memory.saved_tensors import saved_tensors
from leanformer.train.optimizers.interface import Group, grouped
from leanformer.train.precision import Precision
from leanformer.train.setup import TrainSetup

_ELSEWHERE = ("swap-layers", "offload-activations", "offload-optimizer")
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Account:
    """Bytes of one rank's device in a training step."""

    weights: int
    """Parameters and buffers."""
    gradients: int
    """Gradients of the trained parameters."""
    optimizer: int
    """State of the optimizer."""
    activations: int
    """What is kept between the forward and the backward pass of one microbatch."""
    temporary: int = 0
    """What the peak has beyond these; 0 where it was not measured."""

    @property
    def total(self) -> int:
        """All of it, in bytes."""
        return sum(asdict(self).values())

    def __str__(self) -> str:
        lines = [f"{name:12} {size / _MIB:10.1f} MiB" for name, size in asdict(self).items()]
        return "\n".join([*lines, f"{'total':12} {self.total / _MIB:10.1f} MiB"])


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
    groups, owners = [], {}
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
    for stand_in, entries in optimizer.state.items():
        owner = owners[stand_in]
        for entry in entries.values():
            if isinstance(entry, Tensor):
                grows = entry.shape == stand_in.shape and stand_in.dim() > 0
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
    with _saving(model, loss, batch, setup, targets), mode:
        with saved_tensors(model) as kept, precision.autocast():
            outputs = loss.outputs(model, fake, {})
            terms = loss.terms(outputs, fake)
        for one in (*tree_leaves(outputs), *(term.total for term in terms)):
            if isinstance(one, Tensor):
                kept.note(one)
        return kept.bytes


@contextmanager
def _saving(
    model: nn.Module, loss: Loss, batch: Batch, setup: TrainSetup, targets: int | None = None
) -> Iterator[None]:
    """Within it, a step is as `fit` does it: attention for short texts, and the savers."""
    longest = next(iter(batch.inputs.values())).shape[-1]
    with short_attention(model, longest), ExitStack() as saving:
        for saver in setup.memory:
            if targets is not None and isinstance(saver, ChunkedCrossEntropy):
                saving.enter_context(saver.sketch(model, loss, targets))
            else:
                saving.enter_context(saver.apply(model, loss))
        yield


def measure_memory(model: nn.Module, loss: Loss, batch: Batch, setup: TrainSetup) -> Account:
    """The account of a real step, the second of a copy: the optimizer has its state by then.

    Args:
        model: What is copied, so that there has to be room for it twice.
        loss: What is minimized.
        batch: A microbatch.
        setup: How to train.

    Raises:
        ValueError: A memory saver cannot be used with this model or loss.
    """
    model, loss = copy.deepcopy(model).train(), copy.deepcopy(loss)
    with _saving(model, loss, batch, setup):
        execution = OneDevice(model, loss, setup)
        device = execution.device
        batch = batch.to(device)
        execution.forward_backward([batch], {})
        execution.step(1.0)
        states = [s for entries in _state(execution).values() for s in entries.values()]
        resident = [*model.parameters(), *model.buffers(), *loss.parameters()]
        held = [t for t in (*resident, *states) if isinstance(t, Tensor) and t.device == device]
        counter = _Cuda(device) if device.type == "cuda" else _Counted([*held, *_tensors(batch)])
        with counter:
            before = counter.bytes()
            with execution.precision.autocast():
                outputs = loss.outputs(model, batch, {})
                share = loss_share(loss.terms(outputs, batch), loss.counts(batch))
            activations = counter.bytes() - before
            execution.precision.backward(share)
            del outputs, share
            slopes = [p.grad for p in execution.parameters if p.grad is not None]
            gradients = _unique([slope for slope in slopes if slope.device == device])
            del slopes
            execution.step(1.0)
            peak = counter.peak() - before
    weights = _unique([t for t in resident if t.device == device])
    optimizer = _unique([s for s in states if isinstance(s, Tensor) and s.device == device])
    temporary = max(0, peak - gradients - activations)
    return Account(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        activations=activations,
        temporary=temporary,
    )


def _state(execution: OneDevice) -> dict[Any, dict[str, Any]]:
    optimizer: Any = execution.optimizer
    state: dict[Any, dict[str, Any]] = getattr(optimizer, "inner", optimizer).state
    return state


def _tensors(batch: Batch) -> list[Tensor]:
    return [*batch.inputs.values(), *([] if batch.labels is None else [batch.labels])]


def _unique(tensors: list[Tensor]) -> int:
    """Bytes of tensors, each memory once."""
    storages = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


class _Counted:
    """Bytes of the host's tensors."""

    def __init__(self, known: list[Tensor]) -> None:
        self._live = LiveBytes(known)

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def bytes(self) -> int:
        return self._live.bytes

    def peak(self) -> int:
        return self._live.peak


class _Cuda:
    """Bytes that torch's allocator has given out on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def __enter__(self) -> None:
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)

    def __exit__(self, *error: Any) -> None:
        return None

    def bytes(self) -> int:
        return torch.cuda.memory_allocated(self._device)

    def peak(self) -> int:
        return torch.cuda.max_memory_allocated(self._device)
