"""Try a backend once in a process of its own: long texts beside short ones, and each alone.

This shows three faults before anybody is served: a crash; answers that are not finite, e.g. where a
short text is padded by more than a local window; and answers that change with the other texts of a
batch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.child import ChildFailed, call_in_child
from leanformer.core.json_file import read_json
from leanformer.runtime.batching import Batch, stack
from leanformer.runtime.manifest import read_manifest
from leanformer.runtime.opening import open_session
from leanformer.runtime.session import Backend, Precision, Session, feed
from leanformer.text import Reading

_LONGEST = 512  # tokens; four windows of a model with local attention
_SHARES = (1.0, 0.02, 0.5, 0.1, 0.02, 0.8)  # lengths of the rows, as shares of the longest


@dataclass(frozen=True)
class Smoke:
    """How a backend did.

    Attributes:
        reason: Why it cannot serve the folder, or "" if it can.
        change: The largest change of an output through the other texts of the batch, as a share of
            the largest output; None where it did not answer.
    """

    reason: str
    change: float | None = None


def smoke_test(folder: Path, backend: str, precision: str, *, seconds: float = 300) -> Smoke:
    """Open `folder` on `backend` in a new process and run a batch of uneven rows.

    Args:
        folder: A folder with `leanformer.json`.
        backend: The backend to open.
        precision: The precision to open it in.
        seconds: Time limit; a backend that takes longer counts as hung.

    Raises:
        PassingFault: There was no memory, thread or disk for it, which says nothing of the backend.
    """
    asked = {"folder": str(folder), "backend": backend, "precision": precision}
    try:
        change = call_in_child("leanformer.runtime.smoke:run_uneven", asked, seconds=seconds)
    except ChildFailed as error:
        return Smoke(str(error))
    return Smoke("", change)


def run_uneven(folder: str, backend: Backend, precision: Precision) -> float:
    """The largest change of an output through the other rows, as a share of the largest output.

    Raises:
        ValueError: An output is not finite, or there are not as many outputs as rows.
    """
    place = Path(folder)
    manifest = read_manifest(place)
    session = open_session(place, backend, precision, threads=1)
    config = read_json(place / "config.json")
    pad = int(config.get("pad_token_id") or 0)
    readings = uneven_rows(int(config["vocab_size"]), min(manifest.max_length, _LONGEST), pad)
    together = _answers(session, readings, range(len(readings)), pad)
    alone = [_answers(session, readings, [index], pad)[0] for index in range(len(readings))]
    if not all(np.isfinite(row).all() for row in (*together, *alone)):
        raise ValueError(f"{backend} {precision} answers with numbers that are not finite")
    largest = max(float(np.abs(row).max()) for row in alone)
    worst = max(float(np.abs(a - b).max()) for a, b in zip(together, alone, strict=True))
    return worst / max(largest, 1e-12)


def uneven_rows(vocabulary: int, longest: int, pad: int) -> list[Reading]:
    """Rows of random tokens, the first as long as the model reads, the others shorter."""
    rng = np.random.default_rng(0)
    rows = []
    for share in _SHARES:
        ids = rng.integers(vocabulary // 2, vocabulary, max(3, round(share * longest)))
        ids[ids == pad] = vocabulary // 2
        rows.append(Reading(ids[:longest].tolist(), [0] * min(len(ids), longest), cut=False))
    return rows


def _answers(
    session: Session, readings: list[Reading], indices: Any, pad: int
) -> list[NDArray[np.float32]]:
    chosen = tuple(indices)
    batch = Batch(chosen, len(chosen), max(len(readings[index].ids) for index in chosen))
    output = feed(session, stack(readings, batch, pad))
    if len(output) != len(chosen):
        raise ValueError(f"{session.backend} answers {len(chosen)} rows with {output.shape}")
    lengths = [len(readings[index].ids) for index in chosen]
    return [
        row[:length] if row.ndim > 1 else row for row, length in zip(output, lengths, strict=True)
    ]
