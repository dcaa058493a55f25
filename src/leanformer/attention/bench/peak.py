"""Peak memory of one call of attention, beyond its inputs, in a fresh process.

The kernel keeps the high-water mark of each process; a process that has attended before shows that
peak instead, and memory that was freed is taken again unnoticed.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from leanformer.attention.bench.workload import Workload, dense
from leanformer.attention.mechanism import Mechanism
from leanformer.core.codec import decode, encode
from leanformer.core.machine.child import ChildFailed, call_in_child
from leanformer.core.machine.process_memory import process_bytes


def peak_bytes(mechanism: Mechanism | None, work: Workload) -> int | None:
    """Bytes that one call takes beyond queries, keys and values.

    Args:
        mechanism: What is called; None = dense attention.
        work: The call.

    Returns:
        The bytes; None on a device that does not count them (other than a CPU and CUDA).

    Raises:
        ValueError: The process failed; the message says how.
        PassingFault: There was no memory or thread for it.
    """
    if work.device.startswith("cuda"):
        return _on_gpu(mechanism, work)
    if work.device != "cpu":
        return None
    asked = {"mechanism": None if mechanism is None else encode(mechanism), "work": encode(work)}
    try:
        return int(call_in_child("leanformer.attention.bench.peak:call_once", asked, seconds=3600))
    except ChildFailed as error:
        raise ValueError(
            f"peak memory at {work.length} tokens could not be measured: {error}"
        ) from error


def _on_gpu(mechanism: Mechanism | None, work: Workload) -> int:
    device = torch.device(work.device)
    built = dense(work) if mechanism is None else mechanism.build(work.heads).to(device).eval()
    call = work.call(built)
    call()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    return torch.cuda.max_memory_allocated(device) - before


def call_once(mechanism: dict[str, Any] | None, work: dict[str, Any]) -> int:
    """What `peak_bytes` measures, in this process."""
    import leanformer.attention  # noqa: F401  (registers every mechanism)

    whole = decode(Workload, work)
    system = dense(whole)
    if mechanism is not None:
        system = decode(Mechanism, mechanism).build(whole.heads).eval()
    short = replace(whole, length=min(128, whole.length))
    short.call(system)()  # what the first call loads stays loaded
    return growth(whole.call(system))


def growth(call: Callable[[], object]) -> int:
    """Bytes by which a call raises this process at its peak; of use once a process."""
    Path("/proc/self/clear_refs").write_text("5")
    before = process_bytes("VmRSS")
    call()
    return max(0, process_bytes("VmHWM") - before)
