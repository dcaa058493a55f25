"""The account of a training step, measured: two real steps of a copy of the model.

On a GPU it is what torch's allocator gave out; elsewhere each tensor is counted. The memory of the
process says little about either, and is never looked at.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.data import Batch
from leanformer.train.account.account import Account, as_trained
from leanformer.train.account.live_bytes import LiveBytes
from leanformer.train.execution import OneDevice
from leanformer.train.loss import Loss, loss_share
from leanformer.train.setup import TrainSetup


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
    with as_trained(model, loss, batch, setup):
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
