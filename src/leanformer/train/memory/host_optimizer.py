"""An optimizer whose state and steps are in the host's memory, for parameters on a device.

    gradients  →  host                     weights and moments are there already
    one step of the optimizer, on the CPU
    weights    →  device

A weight that something else changed since the last step (a mask, a checkpoint) is copied to the
host first, so that a step always starts from the weights that the model has.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from leanformer.train.memory.side_stream import SideStream


class HostOptimizer(torch.optim.Optimizer):
    """Does the steps of another optimizer in the host's memory.

    Args:
        inner: What is done, of parameters on `device`; its groups get their copies in the host's
            memory instead, and it must not be used beside this one.
        device: Where the parameters are.
    """

    def __init__(self, inner: torch.optim.Optimizer, device: torch.device) -> None:
        self.inner, self._side = inner, SideStream(device)
        own = [{**group, "params": list(group["params"])} for group in inner.param_groups]
        for group in own:
            names = group.pop("param_names", None)
            if names is not None:
                group["params"] = list(zip(names, group["params"], strict=True))
        super().__init__(own, dict(inner.defaults))
        self._there = [p for group in self.param_groups for p in group["params"]]
        self._here = [self._copied(parameter) for parameter in self._there]
        self._versions = [parameter._version for parameter in self._there]
        self._slopes: dict[int, Tensor] = {}
        copies = iter(self._here)
        for group in inner.param_groups:
            group["params"] = [next(copies) for _ in group["params"]]

    def _copied(self, parameter: nn.Parameter) -> nn.Parameter:
        if parameter.device.type == "cpu":  # it is there already, as the weights of swapped layers
            return parameter
        with self._side.beside():
            return nn.Parameter(self._side.to_host(parameter.detach()))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """A step of the inner optimizer from the gradients on the device."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with self._side.beside():
            for place, there, here in self._moved():
                if there._version != self._versions[place]:
                    here.copy_(there, non_blocking=True)
                here.grad = None if there.grad is None else self._slope(place, there.grad)
        self._wait()
        for own, inner in zip(self.param_groups, self.inner.param_groups, strict=True):
            inner.update({k: v for k, v in own.items() if k not in ("params", "param_names")})
        self.inner.step()
        for place, there, here in self._moved():
            if here.grad is not None:
                there.copy_(here, non_blocking=True)
            self._versions[place] = there._version
        return loss

    def _moved(self) -> Iterator[tuple[int, nn.Parameter, nn.Parameter]]:
        """Place, parameter and copy of those that are on the device."""
        for place, (there, here) in enumerate(zip(self._there, self._here, strict=True)):
            if there is not here:
                yield place, there, here

    def _slope(self, place: int, there: Tensor) -> Tensor:
        """The gradient in the host's memory, each time in the same place."""
        held = self._slopes.get(place)
        if held is None:
            held = self._slopes[place] = self._side.to_host(there)
        else:
            self._side.reads(there)
            held.copy_(there, non_blocking=True)
        return held

    def _wait(self) -> None:
        done = self._side.mark()
        if done is not None:
            done.synchronize()

    def state_dict(self) -> dict[str, Any]:
        """That of the inner optimizer: the places and names of the parameters are the same."""
        held: dict[str, Any] = self.inner.state_dict()
        return held

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the state of the inner optimizer, or of one that was never moved."""
        self.inner.load_state_dict(state_dict)
        for own, inner in zip(self.param_groups, self.inner.param_groups, strict=True):
            own.update({k: v for k, v in inner.items() if k != "params"})

    def bytes(self) -> int:
        """Bytes of weights, gradients and state in the host's memory."""
        states = chain.from_iterable(entries.values() for entries in self.inner.state.values())
        held = [*self._here, *self._slopes.values(), *(s for s in states if isinstance(s, Tensor))]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)
