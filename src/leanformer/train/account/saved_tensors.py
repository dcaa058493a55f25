"""Bytes that the forward pass keeps for the backward pass: activations, each memory once.

Parameters are kept too, and do not count: they are there anyway. What a selective checkpoint holds
is not seen here, since torch keeps it beside the graph.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef


class SavedTensors:
    """What was kept so far, and is not freed yet."""

    def __init__(self, model: nn.Module) -> None:
        own = [*model.parameters(), *model.buffers()]
        self._own = {tensor.untyped_storage()._cdata for tensor in own}
        self._kept: dict[int, tuple[StorageWeakRef, int]] = {}

    @property
    def bytes(self) -> int:
        """Bytes that are held now."""
        return sum(size for held, size in self._kept.values() if not held.expired())

    def note(self, tensor: Tensor) -> Tensor:
        """Count the memory of a tensor that is kept."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._own:
            self._kept[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        return tensor


@contextmanager
def saved_tensors(model: nn.Module) -> Iterator[SavedTensors]:
    """Within it, what is kept for a backward pass is counted."""
    found = SavedTensors(model)
    with saved_tensors_hooks(found.note, lambda tensor: tensor):
        yield found
