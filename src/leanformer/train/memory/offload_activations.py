"""Activations go to the host's memory, or to disk, between the forward and the backward pass.

    forward      saved  →  host                 beside the computing, on a second stream
    backward     host   →  device               those that are needed next are fetched ahead

The device holds the activations of the operations that run now; the host holds the rest. It pays
where the bus moves a layer's activations in less time than the layer computes; checkpointed layers
have one input each to move. Tensors that several operations keep move once. Parameters stay, and so
do their casts to half precision.
"""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from leanformer.core.machine.device import device_of
from leanformer.core.ranges import Count
from leanformer.core.technique import technique
from leanformer.train.loss import Loss
from leanformer.train.memory.disk_memory import DiskMemory, Region
from leanformer.train.memory.interface import MemorySaver
from leanformer.train.memory.side_stream import SideStream

_AHEAD = 4  # tensors that are fetched before they are needed
_CASTS = ("TBackward0", "ToCopyBackward0", "ViewBackward0", "TransposeBackward0")


@technique(
    "offload-activations",
    paper="Rhu et al. 2016 (vDNN), arXiv:1602.08124; Rajbhandari et al. 2021 (ZeRO-Infinity), "
    "arXiv:2104.07857",
)
class OffloadActivations(MemorySaver):
    """Move activations to the host's memory or to disk until the backward pass needs them."""

    to: Literal["host", "disk"] = "host"
    """Where they go: the `host`'s memory, for a model on a GPU, or a file on `disk`, in the folder
    that TMPDIR names."""
    min_bytes: Count = 1_048_576
    """Smaller tensors stay where they are."""

    @contextmanager
    def apply(self, model: nn.Module, loss: Loss) -> Iterator[None]:
        """See `MemorySaver.apply`. The gradients are the same to the last bit.

        Raises:
            ValueError: The model is in the host's memory already, and `to` is "host".
        """
        device = device_of(model)
        if device.type == "cpu" and self.to == "host":
            raise ValueError(
                "offload-activations: the model is on the CPU, whose memory is the host's, so that "
                'nothing would be gained; set to = "disk", or leave this saver out of memory'
            )
        home = _Disk(device) if self.to == "disk" else _Host(device)
        offload = Offload(device, home, self.min_bytes)
        with saved_tensors_hooks(offload.pack, offload.unpack):
            yield


class _Host:
    """Tensors in the host's memory."""

    def __init__(self, device: torch.device) -> None:
        self.ahead = _AHEAD
        self.side = SideStream(device)

    def put(self, tensor: Tensor) -> Tensor:
        with self.side.beside():
            return self.side.to_host(tensor)

    def get(self, there: Tensor) -> tuple[Tensor, Any]:
        with self.side.beside(after=False):
            return self.side.to_device(there), self.side.mark()


class _Disk:
    """Tensors in a file; they are read when they are needed."""

    def __init__(self, device: torch.device) -> None:
        self.ahead = 0
        self.device, self.memory = device, DiskMemory()
        self.side = SideStream(device)

    def put(self, tensor: Tensor) -> Region:
        return self.memory.write(tensor)

    def get(self, there: Region) -> tuple[Tensor, Any]:
        return self.memory.read(there).to(self.device), None


class Held:
    """A tensor that is elsewhere.

    Attributes:
        there: Where it is.
        fetched: The tensor on the device, and the moment when it is whole; None = not on its way.
    """

    def __init__(self, there: Any) -> None:
        self.there = there
        self.fetched: tuple[Tensor, Any] | None = None


class Offload:
    """The hooks of saved tensors.

    Attributes:
        bytes: Bytes that were moved away so far.
    """

    def __init__(self, device: torch.device, home: Any, min_bytes: int) -> None:
        self.device, self.home, self.min_bytes = device, home, min_bytes
        self.bytes = 0
        self._order: list[weakref.ref[Held]] = []
        self._known: dict[Any, tuple[StorageWeakRef, weakref.ref[Held]]] = {}
        self._backward = False

    def pack(self, tensor: Tensor) -> Any:
        """Move a tensor away, unless it is small, a parameter, or on another device."""
        if self._backward:
            self._forget()
        if not self._moves(tensor):
            return tensor
        key, own = _identity(tensor), StorageWeakRef(tensor.untyped_storage())
        known = self._known.get(key)
        held = known[1]() if known is not None and not known[0].expired() else None
        if held is None:
            held = Held(self.home.put(tensor.detach()))
            self._known[key] = own, weakref.ref(held)
            self._order.append(weakref.ref(held))
            self.bytes += tensor.numel() * tensor.element_size()
        return held

    def unpack(self, packed: Any) -> Tensor:
        """The tensor that was packed; those that are needed next are fetched too."""
        if not isinstance(packed, Held):
            tensor: Tensor = packed
            return tensor
        self._backward = True
        fetched = packed.fetched or self.home.get(packed.there)
        packed.fetched = None
        self._fetch_before(packed)
        self.home.side.wait(fetched[1], fetched[0])
        return fetched[0]

    def _fetch_before(self, packed: Held) -> None:
        """Fetch those that were packed just before: the backward pass goes backwards."""
        while self._order and self._order[-1]() in (None, packed):
            self._order.pop()
        for reference in self._order[max(0, len(self._order) - self.home.ahead) :]:
            held = reference()
            if held is not None and held.fetched is None and held is not packed:
                held.fetched = self.home.get(held.there)

    def _forget(self) -> None:
        """A forward pass begins: what the last one moved is needed no more."""
        self._backward = False
        self._order = [one for one in self._order if one() is not None]
        self._known = {k: one for k, one in self._known.items() if not one[0].expired()}

    def _moves(self, tensor: Tensor) -> bool:
        return (
            tensor.device == self.device
            and tensor.layout == torch.strided
            and tensor.numel() * tensor.element_size() >= self.min_bytes
            and _fills_its_memory(tensor)
            and not _of_parameter(tensor)
        )


def _identity(tensor: Tensor) -> Any:
    """What tells a tensor from others: the memory, the elements in it, and their version."""
    place = tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor._version
    return *place, tensor.dtype, tuple(tensor.shape), tuple(tensor.stride())


def _fills_its_memory(tensor: Tensor) -> bool:
    """Whether its elements lie side by side in some order, each once."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def _of_parameter(tensor: Tensor) -> bool:
    """Whether it is a parameter, a view of one, or its cast to another precision."""
    if isinstance(tensor, nn.Parameter) or isinstance(tensor._base, nn.Parameter):
        return True
    node: Any = tensor.grad_fn
    while node is not None and type(node).__name__ in _CASTS:
        node = node.next_functions[0][0]
    return isinstance(getattr(node, "variable", None), nn.Parameter)
