"""Try a system once in a process of its own, before anybody is served.

What it does there is the system's own affair (`System.try_out`): a transformer answers long texts
beside short ones, and each alone. This shows a crash, answers that are not finite, and answers that
change with the other texts of a batch.
"""

from dataclasses import dataclass
from pathlib import Path

from leanformer.core.machine.child import ChildFailed, call_in_child
from leanformer.runtime.serving.opening import open_system


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
    """Open `folder` on `backend` in a new process and try it out.

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
        change = call_in_child(
            "leanformer.runtime.serving.smoke:try_folder", asked, seconds=seconds
        )
    except ChildFailed as error:
        return Smoke(str(error))
    return Smoke("", change)


def try_folder(folder: str, backend: str, precision: str) -> float:
    """See `System.try_out`."""
    return open_system(Path(folder), backend, precision, threads=1).try_out()
