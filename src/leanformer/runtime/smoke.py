"""Try a backend once in a process of its own, where a crash costs nothing.

A runtime may die of an illegal instruction or a division by zero on a CPU that its authors did not
try. In a subprocess that is an exit code with a reason; in this process it would be the end.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np


def smoke_test(folder: Path, backend: str, precision: str, *, seconds: float = 180) -> str:
    """Why `backend` cannot serve `folder`, or "" if it can.

    Args:
        folder: A folder with `leanformer.json`.
        backend: The backend to open.
        precision: The precision to open it in.
        seconds: It counts as hung after so long.
    """
    command = [sys.executable, "-m", "leanformer.runtime.smoke", str(folder), backend, precision]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return f"did not answer within {seconds:g} s"
    return reason_of(ended.returncode, ended.stderr)


def reason_of(code: int, stderr: str) -> str:
    """What an exit code and the last words of a process say; "" for success."""
    if code == 0:
        return ""
    if code < 0:
        return f"crashed with {signal.Signals(-code).name}"
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"ended with exit code {code}"


def run_once(folder: Path, backend: str, precision: str) -> None:
    """Open the session and run two rows of different length.

    Raises:
        ValueError: The output is not finite, or has not one row a text.
    """
    from leanformer.runtime.opening import open_session
    from leanformer.runtime.session import feed

    session = open_session(folder, backend, precision, threads=1)  # type: ignore[arg-type]
    ids = np.ones((2, 6), dtype=np.int64)
    mask = np.array([[1] * 6, [1] * 4 + [0] * 2], dtype=np.int64)
    types = np.zeros_like(ids)
    output = feed(session, {"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
    if output.shape[0] != 2 or not np.isfinite(output).all():
        raise ValueError(f"{backend} {precision} answered {output.shape} with numbers not finite")


if __name__ == "__main__":
    run_once(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
