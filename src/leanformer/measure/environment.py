"""The machine and the versions that a measurement belongs to."""

import os
import platform
from importlib import metadata
from typing import Any

from leanformer.core.processor import cpuinfo, instructions
from leanformer.runtime.session import cores

_PACKAGES = ("torch", "transformers", "openvino", "nncf", "onnxruntime")


def environment(threads: int | None = None) -> dict[str, Any]:
    """Processor, cores, threads, memory, versions: the record's `environment`."""
    count = cores()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": _processor(),
        "instructions": instructions(),
        "cores": count,
        "threads": threads or count,
        "memory_gb": round(pages / 2**30, 1),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
        "os": platform.platform(terse=True),
    }


def _processor() -> str:
    return cpuinfo("model name") or platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
