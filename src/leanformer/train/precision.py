"""Mixed precision: half-precision matrix products over fp32 weights.

bf16 has fp32's range and needs no loss scaling; fp16 does: the loss is multiplied by S, gradients
are divided by S *before* clipping, and a step with an overflow is left out while S is halved.
Gradients that overflow even at S = 2⁻¹⁴, which makes a gradient of 1 the least normal number of
fp16, overflow at any S.

A CPU or a GPU without bf16 products only imitates them: a training step of MiniLM-L6 took 9.3 s on
a Zen 3 instead of 0.4 s in fp32. There bf16 is run as fp32, which is more exact.
"""

from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from leanformer.core.machine.processor import multiplies_bf16

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


_LEAST = 2.0**-14


class Precision:
    """Autocast and, for fp16, the loss scale.

    Attributes:
        scales: Whether the loss is scaled, so that gradients may overflow now and then.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        imitated = name == "bf16" and not has_bf16(device)
        self.name = "fp32" if imitated else name
        self.device = device
        self.scales = name == "fp16"
        self.scaler = _Scaler(device, enabled=self.scales)

    @property
    def dtype(self) -> torch.dtype:
        """The type in which products are computed."""
        return _DTYPES[self.name]

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of forward passes."""
        return torch.autocast(self.device, self.dtype, enabled=self.name != "fp32")

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of `loss`."""
        self.scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients by the loss scale, once in a step and before they are clipped."""
        self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """Step unless a gradient overflowed; whether it was done."""
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        return self.scaler.get_scale() >= before

    @property
    def exhausted(self) -> bool:
        """Whether the loss scale has fallen to nothing."""
        return self.scales and self.scaler.get_scale() < _LEAST


class _Scaler(torch.amp.GradScaler):
    """torch's, also where ranks share out some of the weights and hold others whole."""

    def _unscale_grads_(
        self, optimizer: Any, inv_scale: Tensor, found_inf: Tensor, allow_fp16: bool
    ) -> dict[torch.device, Tensor]:
        """Divide gradients and note overflows, of parts and of whole tensors apart: torch's one
        product refuses a mixture.
        """
        slopes = [p for group in optimizer.param_groups for p in group["params"]]
        found: dict[torch.device, Tensor] = {}
        for shared in (True, False):
            alike = [p for p in slopes if isinstance(p, DTensor) == shared]
            groups: Any = SimpleNamespace(param_groups=[{"params": alike}])
            overflows = super()._unscale_grads_(groups, inv_scale, found_inf, allow_fp16)
            for device, overflow in overflows.items():
                found[device] = found[device].maximum(overflow) if device in found else overflow
        return found


def has_bf16(device: str) -> bool:
    """Whether a device of this type multiplies bf16 numbers itself and does not imitate it."""
    if device == "cpu":
        return multiplies_bf16()
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    asked = getattr(torch.get_device_module(device), "is_bf16_supported", None)
    return asked is None or bool(asked())  # Apple's GPUs all have them
