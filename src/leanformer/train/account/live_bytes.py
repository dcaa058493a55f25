"""Bytes of tensors that are alive, and the most that were at once, counted operation by operation.

Unlike the memory of a process it counts tensors alone, to the byte, on any device, and also what a
selective checkpoint holds. It slows each operation down: it is for one step, not for a training.
"""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Within it, tensors that are made are counted until they are freed.

    Attributes:
        bytes: Those alive now.
        peak: The most so far; may be set back to `bytes`.
    """

    def __init__(self, known: list[Tensor]) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self._alive: dict[int, int] = {}
        for tensor in known:
            self._note(tensor)

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address not in self._alive:
            self._alive[address] = storage.nbytes()
            self.bytes += storage.nbytes()
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(storage, self._forget, address)

    def _forget(self, address: int) -> None:
        self.bytes -= self._alive.pop(address)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked for, and note what it made."""
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, Tensor) and one.layout == torch.strided:
                self._note(one)
        return made
