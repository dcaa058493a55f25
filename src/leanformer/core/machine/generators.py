"""Random generators: what a training draws from, on the CPU and on the model's device.

The order of the data, hidden tokens and noise are drawn on the CPU, dropout on the device. A
training that goes on, or that was evaluated in between, draws what it would have drawn.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """The states of the CPU's generator and of the device's own, by the kind of device."""
    states = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        states[device.type] = _module(device).get_rng_state(*_which(device))
    return states


def set_generator_states(device: torch.device, states: Mapping[str, Tensor]) -> None:
    """Draw on from what `generator_states` gave; a device that it does not hold is left as it is.

    A training that went on another device before has no state for this one.
    """
    torch.set_rng_state(states["cpu"])
    if device.type in states and device.type != "cpu":
        _module(device).set_rng_state(states[device.type], *_which(device))


@contextmanager
def kept_generators(device: torch.device) -> Iterator[None]:
    """Within it, what is drawn does not change what is drawn afterwards."""
    states = generator_states(device)
    try:
        yield
    finally:
        set_generator_states(device, states)


def _module(device: torch.device) -> Any:
    """`torch.cuda`, `torch.mps` or what a backend of its own brings along."""
    return torch.get_device_module(device)


def _which(device: torch.device) -> tuple[torch.device, ...]:
    """The device as an argument; Apple's has one generator and takes none."""
    return () if device.type == "mps" else (device,)
