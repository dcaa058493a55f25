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
from leanformer.core.child import ChildFailed, call_in_child
from leanformer.core.codec import decode, encode
from leanformer.core.process_memory import process_bytes


def peak_bytes(mechanism: Mechanism | None, work: Workload) -> int:
    """Bytes that one call takes beyond queries, keys and values; None = dense attention.

    Raises:
        ValueError: The process failed; the message says how.
        PassingFault: There was no memory or thread for it.
    """
    if work.device == "cuda":
        return _on_gpu(mechanism, work)
    asked = {"mechanism": None if mechanism is None else encode(mechanism), "work": encode(work)}
    try:
        return int(call_in_child("leanformer.attention.bench.peak:call_once", asked, seconds=3600))
    except ChildFailed as error:
        raise ValueError(
            f"peak memory at {work.length} tokens could not be measured: {error}"
        ) from error


def _on_gpu(mechanism: Mechanism | None, work: Workload) -> int:
    call = work.call(dense(work) if mechanism is None else mechanism.build(work.heads))
    call()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return torch.cuda.max_memory_allocated() - before


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
