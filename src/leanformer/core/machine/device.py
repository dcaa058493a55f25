"""Devices by name: what a user asks for, what this machine has, and where a model is.

    "auto"                 the accelerator that torch finds here, and else the CPU
    "cpu"                  the CPU
    "cuda", "cuda:1"       NVIDIA's or AMD's, the current one or one by its number
    "mps", "xpu", ...      Apple's, Intel's, or any other backend that torch knows

Models are trained, asked and measured where they are; they are exported, saved and served from the
CPU, from copies that `on_cpu` makes.
"""

import copy
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # loading torch takes a second, and not everybody who names a device needs it
    import torch
    from torch import Tensor, nn

    Model = TypeVar("Model", bound=nn.Module)


def find_device(name: str) -> "torch.device":
    """The device of this name.

    Args:
        name: "auto", or a device as torch names it, such as "cpu", "cuda:1" or "mps".

    Raises:
        ValueError: torch knows no such device, or this machine does not have it.
    """
    import torch

    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        there = torch.get_device_module(device)
        count = there.device_count() if there.is_available() else 0
    except RuntimeError:  # torch's message lists devices that nobody has
        count = 0
    if not count or (device.index or 0) >= count:
        raise ValueError(
            f"device: {name!r} is not on this machine, which has {' and '.join(devices_here())}; "
            'name one of these, or "auto"'
        )
    return device


def devices_here() -> list[str]:
    """The names of the devices of this machine, the CPU first."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return ["cpu"]
    count = torch.get_device_module(found).device_count()
    return ["cpu", *(f"{found.type}:{index}" for index in range(count))]


def device_of(model: "nn.Module") -> "torch.device":
    """Where the model is, by its first parameter or buffer; the CPU where it has none."""
    import torch

    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def move(tensor: "Tensor", device: "torch.device") -> "Tensor":
    """`tensor` on `device`; to CUDA it is copied beside the computing, from pinned memory."""
    if tensor.device == device:
        return tensor
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def inputs_on(device: "torch.device", inputs: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The keyword arguments of a model on `device`."""
    return {name: move(tensor, device) for name, tensor in inputs.items()}


def on_cpu(model: "Model") -> "Model":
    """The model itself where it is on the CPU, and else a copy of it there.

    The copy takes no memory of the device, and weights that are tied in the model are tied in it.
    """
    from torch import nn

    if device_of(model).type == "cpu":
        return model
    known: dict[int, object] = {}
    for parameter in model.parameters():
        tensor = parameter.detach().cpu()
        known[id(parameter)] = nn.Parameter(tensor, parameter.requires_grad)
    for buffer in model.buffers():
        known[id(buffer)] = buffer.detach().cpu()
    return copy.deepcopy(model, known)
