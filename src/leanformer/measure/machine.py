"""Measurements are compared on one machine alone: which one it was, as a record names it."""

from collections.abc import Mapping
from typing import Any

_KEYS = ("cpu", "instructions", "cores", "threads", "gpu", "torch")


def machine_of(environment: Mapping[str, Any] | None) -> str:
    """What tells a machine from another for torch's kernels, in words; the same string means the
    same machine."""
    said = {key: value for key in _KEYS if (value := (environment or {}).get(key)) is not None}
    if not said:
        return "a machine that nobody named"
    words = [str(said.get(key)) for key in ("cpu", "gpu") if key in said]
    words += [f"{said[key]} {key}" for key in ("cores", "threads") if key in said]
    words += [f"torch {said['torch']}"] if "torch" in said else []
    return ", ".join([*words, *said.get("instructions", ())])
