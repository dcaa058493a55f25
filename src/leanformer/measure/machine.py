"""The machine that a record was measured on; only times of one machine can be compared."""

from collections.abc import Mapping
from typing import Any

_KEYS = ("cpu", "instructions", "cores", "threads", "gpu", "torch")


def machine_of(environment: Mapping[str, Any] | None) -> str:
    """The machine of a record's `environment` in words: processor, cores, threads and torch.

    Two measurements can be compared if these words are equal.
    """
    said = {key: value for key in _KEYS if (value := (environment or {}).get(key)) is not None}
    if not said:
        return "a machine that the record does not name"
    words = [str(said.get(key)) for key in ("cpu", "gpu") if key in said]
    words += [f"{said[key]} {key}" for key in ("cores", "threads") if key in said]
    words += [f"torch {said['torch']}"] if "torch" in said else []
    return ", ".join([*words, *said.get("instructions", ())])
