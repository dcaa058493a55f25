"""The name of the machine that a record was measured on: times are compared on one alone."""

from collections.abc import Mapping
from typing import Any

_KEYS = ("cpu", "instructions", "cores", "threads", "gpu", "torch")


def machine_of(environment: Mapping[str, Any] | None) -> str:
    """Processor, cores, threads and torch of a record's `environment` in words; two measurements
    whose words are equal can be compared."""
    said = {key: value for key in _KEYS if (value := (environment or {}).get(key)) is not None}
    if not said:
        return "a machine that the record does not name"
    words = [str(said.get(key)) for key in ("cpu", "gpu") if key in said]
    words += [f"{said[key]} {key}" for key in ("cores", "threads") if key in said]
    words += [f"torch {said['torch']}"] if "torch" in said else []
    return ", ".join([*words, *said.get("instructions", ())])
