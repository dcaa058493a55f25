"""The floating-point operations per second that this device reaches in one large matrix product.

    peak = 2 n³ / seconds of C = A B with n x n matrices, the fastest of several

A utilization is stated against what was measured here: data sheets name a figure for each mode that
a device has, and clocks, power limits and other processes decide what is left of it.
"""

import time

import torch

_SIZES = {"cpu": 1024, "cuda": 8192}
_CALLS = 5
_SECONDS = 2.0  # no more calls afterwards


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """FLOPs per second of matrix products of this type, on as many threads as torch has.

    Args:
        device: Where they are computed.
        dtype: The type in which a training multiplies.
    """
    size = _SIZES.get(device.type, 4096)
    left = torch.full((size, size), 0.5, device=device, dtype=dtype)
    best, began = float("inf"), time.perf_counter()
    for _ in range(_CALLS):
        _wait(device)
        started = time.perf_counter()
        left @ left
        _wait(device)
        best = min(best, time.perf_counter() - started)
        if time.perf_counter() - began > _SECONDS:
            break
    return 2 * size**3 / best


def _wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
