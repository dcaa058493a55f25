"""Peak memory of a fresh process that loads a folder and answers some texts.

The kernel keeps the high-water mark of each process (VmHWM). A process that has exported or trained
before shows that peak instead, so it is read in a new one.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from leanformer.core.quantity import Quantity
from leanformer.runtime.smoke import reason_of

_STATUS = Path("/proc/self/status")


def peak_memory(
    folder: Path,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
) -> Quantity:
    """Bytes at the peak of loading `folder` and answering `texts`.

    Raises:
        ValueError: The process failed; the message says how.
    """
    asked = {
        "folder": str(folder),
        "texts": list(texts),
        "pairs": None if pairs is None else list(pairs),
        "backend": backend,
        "precision": precision,
        "threads": threads,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "leanformer.measure.peak_memory"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    if reason := reason_of(ended.returncode, ended.stderr):
        raise ValueError(f"{folder} could not be measured: {reason}")
    return Quantity(float(ended.stdout.split()[-1]), "bytes")


def high_water() -> int:
    """The most bytes of memory that this process has held."""
    line = next(x for x in _STATUS.read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _serve(asked: dict[str, object]) -> None:
    from leanformer.runtime.predictor import load

    keys = ("folder", "backend", "threads")
    predictor = load(*[asked[key] for key in keys], precision=asked["precision"])  # type: ignore
    predictor.outputs(asked["texts"], asked["pairs"])  # type: ignore[arg-type]
    sys.stdout.write(f"{high_water()}\n")


if __name__ == "__main__":
    _serve(json.load(sys.stdin))
