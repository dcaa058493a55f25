"""Peak memory of one call of attention, beyond its inputs, in a fresh process.

The kernel keeps the high-water mark of each process; a process that has attended before shows that
peak instead, and memory that was freed is taken again unnoticed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from leanformer.attention.mechanism import Mechanism
from leanformer.attention.workload import Workload, dense
from leanformer.core.codec import decode, encode


def peak_bytes(mechanism: Mechanism | None, work: Workload) -> int:
    """Bytes that one call takes beyond queries, keys and values; None = dense attention.

    Raises:
        ValueError: The process failed; the message has its last line.
    """
    if work.device == "cuda":
        return _on_gpu(mechanism, work)
    asked = {"mechanism": None if mechanism is None else encode(mechanism), "work": encode(work)}
    ended = subprocess.run(
        [sys.executable, "-m", "leanformer.attention.peak"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if ended.returncode:
        last = ended.stderr.strip().splitlines()[-1:] or [f"exit status {ended.returncode}"]
        raise ValueError(f"peak memory at {work.length} tokens could not be measured: {last[0]}")
    return int(ended.stdout.split()[-1])


def _on_gpu(mechanism: Mechanism | None, work: Workload) -> int:
    call = work.call(dense(work) if mechanism is None else mechanism.build(work.heads))
    call()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return torch.cuda.max_memory_allocated() - before


def _once(asked: dict[str, Any]) -> int:
    work = decode(Workload, asked["work"])
    system = dense(work)
    if asked["mechanism"] is not None:
        system = decode(Mechanism, asked["mechanism"]).build(work.heads).eval()
    short = Workload(**{**vars(work), "length": min(128, work.length)})
    short.call(system)()  # what the first call loads stays loaded
    return growth(work.call(system))


def growth(call: Callable[[], object]) -> int:
    """Bytes by which a call raises this process at its peak; of use once a process."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1]) * 1024


if __name__ == "__main__":
    import leanformer.attention  # noqa: F401  (registers every mechanism)

    sys.stdout.write(f"{_once(json.load(sys.stdin))}\n")
