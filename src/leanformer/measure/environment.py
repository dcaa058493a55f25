"""The machine and the versions that a measurement belongs to; only times of one machine compare."""

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from leanformer.core.machine.processor import cpuinfo, instructions
from leanformer.core.machine.threads import cores

_NAMED = ("cpu", "instructions", "cores", "threads", "gpu", "torch")
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


def machine_of(environment: Mapping[str, Any] | None) -> str:
    """The machine of a record's `environment` in words: processor, cores, threads and torch.

    Two measurements can be compared if these words are equal.
    """
    said = {key: value for key in _NAMED if (value := (environment or {}).get(key)) is not None}
    if not said:
        return "a machine that the record does not name"
    words = [str(said.get(key)) for key in ("cpu", "gpu") if key in said]
    words += [f"{said[key]} {key}" for key in ("cores", "threads") if key in said]
    words += [f"torch {said['torch']}"] if "torch" in said else []
    return ", ".join([*words, *said.get("instructions", ())])


def _processor() -> str:
    return cpuinfo("model name") or platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
