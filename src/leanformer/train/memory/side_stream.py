"""Copies between a device and the host beside the computing, where the device can do both at once.

    with side.beside():                 begins when all that was asked for before is done
        there = side.to_host(tensor)
    done = side.mark()
    ...                                 computing goes on
    side.wait(done, there)              what follows on the main stream waits for the copy

CUDA has streams; any other device copies at once, and the same lines do the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class SideStream:
    """A second stream of a device.

    Attributes:
        device: Whose it is.
        pinned: Whether the host's side of copies has to be pinned memory.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.pinned = device.type == "cuda"
        self._stream: Any = torch.cuda.Stream(device) if self.pinned else None

    @contextmanager
    def beside(self, *, after: bool = True) -> Iterator[None]:
        """Within it, copies go to this stream.

        Args:
            after: Whether they see what the main stream did before; what comes from the host need
                not wait for it.
        """
        if self._stream is None:
            yield
            return
        if after:
            self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            yield

    def mark(self) -> Any:
        """The moment when all copies so far are done."""
        return None if self._stream is None else self._stream.record_event()

    def wait(self, done: Any, *tensors: Tensor) -> None:
        """Let the main stream wait for a moment, and use `tensors` that this stream made."""
        if done is not None:
            stream = torch.cuda.current_stream(self.device)
            stream.wait_event(done)
            self._keep(stream, tensors)

    def reads(self, *tensors: Tensor) -> None:
        """Keep the memory of `tensors`, which the main stream made, until the copies are done."""
        if self._stream is not None:
            self._keep(self._stream, tensors)

    def _keep(self, stream: Any, tensors: tuple[Tensor, ...]) -> None:
        for tensor in tensors:
            if tensor.device.type == "cuda":
                tensor.record_stream(stream)

    def to_host(self, tensor: Tensor) -> Tensor:
        """A copy in the host's memory, in the same order in memory; call it within `beside`."""
        there = torch.empty_like(tensor, device="cpu", pin_memory=self.pinned)
        self.reads(tensor)
        return there.copy_(tensor, non_blocking=True)

    def to_device(self, tensor: Tensor) -> Tensor:
        """A copy on the device; call it within `beside`."""
        return torch.empty_like(tensor, device=self.device).copy_(tensor, non_blocking=True)
