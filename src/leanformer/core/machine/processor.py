"""Features of this CPU that decide which precision is fast, and which is exact.

Products of int8 numbers are exact where the CPU has VNNI or AMX. Older x86 CPUs add two products of
uint8 with int8 in 16 bits, which saturates from 2 * 255 * 64 on:

    255 * 127 + 255 * 127 = 64,770 > 32,767        255 * 63 + 255 * 63 = 32,130

There, weights may use only half of their range; `int8` and the exporters see to that.
"""

import platform
from collections.abc import Iterable
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_KNOWN = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
_EXACT = {"avx512_vnni", "avx_vnni", "amx_int8"}
_BF16 = {"avx512_bf16", "amx_bf16"}


def instructions() -> list[str]:
    """The instruction sets of this CPU that decide which precision is fast."""
    present = set(cpuinfo("flags").split())
    return [name for name in _KNOWN if name in present]


def multiplies_int8_exactly() -> bool:
    """Whether int8 products cannot saturate here; True where the CPU does not tell."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not _CPUINFO.is_file():
        return True
    return exact_with(instructions())


def exact_with(present: Iterable[str]) -> bool:
    """Whether a CPU with these instruction sets multiplies int8 numbers exactly."""
    return bool(_EXACT & set(present))


def multiplies_bf16() -> bool:
    """Whether this CPU has bf16 products; True where it does not tell."""
    if platform.machine().lower() not in ("x86_64", "amd64") or not _CPUINFO.is_file():
        return True
    return bool(_BF16 & set(instructions()))


def cpuinfo(key: str) -> str:
    """The value of `key` in /proc/cpuinfo for the first core; "" where there is none."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.is_file() else []
    return next((x.partition(":")[2].strip() for x in lines if x.startswith(key)), "")
