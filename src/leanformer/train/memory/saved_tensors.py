"""Bytes that the forward pass keeps for the backward pass: activations, each memory once.

Parameters are kept too, and do not count: they are there anyway. What a selective checkpoint holds
is not seen here, since torch keeps it beside the graph.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


class SavedTensors:
    """What was kept so far.

    Attributes:
        sizes: Bytes of each memory that is held, by its address.
    """

    def __init__(self, model: nn.Module) -> None:
        own = [*model.parameters(), *model.buffers()]
        self._own = {_storage(tensor) for tensor in own}
        self.sizes: dict[int, int] = {}

    @property
    def bytes(self) -> int:
        """Bytes that are held."""
        return sum(self.sizes.values())

    def note(self, tensor: Tensor) -> Tensor:
        """Count the memory of a tensor that is kept."""
        if _storage(tensor) not in self._own:
            self.sizes[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor


@contextmanager
def saved_tensors(model: nn.Module) -> Iterator[SavedTensors]:
    """Within it, what is kept for a backward pass is counted."""
    found = SavedTensors(model)
    with saved_tensors_hooks(found.note, lambda tensor: tensor):
        yield found


def _storage(tensor: Tensor) -> int:
    """One number for each memory that is alive, also on devices that have no addresses."""
    return tensor.untyped_storage()._cdata
