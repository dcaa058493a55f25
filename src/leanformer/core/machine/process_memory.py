"""Memory of this process, as the kernel counts it.

VmRSS   what it holds now
VmHWM   the most that it has held, its high-water mark
"""

from pathlib import Path
from typing import Literal

_STATUS = Path("/proc/self/status")


def process_bytes(key: Literal["VmRSS", "VmHWM"]) -> int:
    """The counter `key` in bytes."""
    line = next(x for x in _STATUS.read_text().splitlines() if x.startswith(f"{key}:"))
    return int(line.split()[1]) * 1024
