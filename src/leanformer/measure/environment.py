"""The machine and the versions that a measurement belongs to."""

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "transformers", "openvino", "nncf", "onnxruntime")


def environment(threads: int | None = None) -> dict[str, Any]:
    """Processor, cores, threads, memory, versions: the record's `environment`."""
    cores = len(os.sched_getaffinity(0))
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _processor(),
        "instructions": _instructions(),
        "cores": cores,
        "threads": threads or cores,
        "memory_gb": round(pages / 2**30, 1),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "os": platform.platform(terse=True),
    }


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((x.partition(":")[2].strip() for x in lines if x.startswith(key)), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _instructions() -> list[str]:
    """Those that decide which precision is fast."""
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    present = set(_cpuinfo("flags").split())
    return [name for name in known if name in present]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
