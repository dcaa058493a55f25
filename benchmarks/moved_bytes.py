"""How many bytes operations read and write, counted: the same on every machine.

Every tensor that an operation is given is read once and every one that it changes or makes is
written once, as if nothing stayed in a cache. Views move nothing.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# its schema says that it may unscale the gradients, which it does not where there is no scale
_READ_ONLY = {"_fused_adamw_": ("grads",), "_fused_sgd_": ("grads",)}
# these write without reading what was there
_OVERWRITING = {"copy_", "zero_", "fill_", "zeros_like", "empty_like", "ones_like"}


class MovedBytes(TorchDispatchMode):
    """Counts within it.

    Attributes:
        moved: Bytes so far.
        operations: How many operations moved them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        """Run the operation and count."""
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        given, written = [], []
        for argument, value in zip(func._schema.arguments, args, strict=False):
            tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
            given += [] if name in _OVERWRITING and argument.is_write else tensors
            if argument.is_write and argument.name not in _READ_ONLY.get(name, ()):
                written += tensors
        for argument in func._schema.arguments:
            if argument.name in kwargs:
                given += [x for x in tree_leaves(kwargs[argument.name]) if isinstance(x, Tensor)]
        if name.endswith("_like"):
            given = []
        made = [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
        known = {_storage(tensor) for tensor in tree_leaves((args, kwargs)) if _held(tensor)}
        new = [tensor for tensor in made if _storage(tensor) not in known]
        if new or written:  # what only gives another view of its input moves nothing
            self.moved += sum(x.numel() * x.element_size() for x in [*given, *written, *new])
            self.operations += 1
        return found


def moved_bytes(call: Any) -> tuple[int, int]:
    """The bytes that `call` moves, and in how many operations."""
    with MovedBytes() as counter:
        call()
    return counter.moved, counter.operations


def _held(value: Any) -> bool:
    return isinstance(value, Tensor) and value.device.type != "meta"


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
