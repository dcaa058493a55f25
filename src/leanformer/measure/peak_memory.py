"""Memory of a fresh process that has served a folder for a while.

The kernel keeps the high-water mark of each process (VmHWM). A process that has exported or trained
before shows the peak of that instead, so the mark is read in a new process. One batch says little
about a server, since runtimes keep kernels for each shape that they have seen. So the process
answers two hundred requests of mixed sizes first.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from leanformer.core.machine.child import ChildFailed, call_in_child
from leanformer.core.machine.process_memory import process_bytes
from leanformer.core.quantity import Quantity

REQUESTS = 200
_LARGEST = 5  # a request has up to 2 ** 5 texts


def peak_memory(
    folder: Path,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    backend: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    requests: int = REQUESTS,
) -> Quantity:
    """Bytes at the peak of loading `folder` and answering requests made of `texts`.

    Raises:
        ValueError: The process failed; the message says how.
        PassingFault: There was no memory, thread or disk for it.
    """
    asked = {
        "folder": str(folder),
        "texts": list(texts),
        "pairs": None if pairs is None else list(pairs),
        "backend": backend,
        "precision": precision,
        "threads": threads,
        "requests": requests,
    }
    try:
        peak = call_in_child("leanformer.measure.peak_memory:serve_requests", asked, seconds=1800)
    except ChildFailed as error:
        raise ValueError(f"{folder} could not be measured: {error}") from error
    return Quantity(float(peak), "bytes")


def serve_requests(
    folder: str,
    texts: list[str],
    pairs: list[str] | None,
    backend: str | None,
    precision: str | None,
    threads: int | None,
    requests: int = REQUESTS,
) -> int:
    """Answer mixed requests and return the peak memory of this process in bytes."""
    from leanformer.runtime.serving.predictor import load

    predictor = load(folder, backend, threads, precision=precision)  # type: ignore[arg-type]
    for places in mixed_requests(len(texts), requests):
        some = [texts[place] for place in places]
        predictor.answer(some, None if pairs is None else [pairs[place] for place in places])
    return process_bytes("VmHWM")


def mixed_requests(texts: int, requests: int = REQUESTS, seed: int = 0) -> Iterator[list[int]]:
    """Indices of the texts of each request: mostly few, seldom dozens."""
    rng = random.Random(seed)
    for _ in range(requests):
        count = round(2 ** rng.uniform(0, _LARGEST))
        yield [rng.randrange(texts) for _ in range(count)]
