"""PyTorch eager in fp32 and bf16: no export, and the honest baselines.

bf16 is one line (`from_pretrained(dtype=torch.bfloat16)`), needs no calibration, and is twice as
fast on CPUs with bf16 instructions. A table of speed-ups that leaves it out compares with a straw
man.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from leanformer.core.machine.threads import cores
from leanformer.models.half_precision import in_dtype
from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.per_process import forked_with_torch
from leanformer.runtime.session import Arrays, Precision, Session

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchSession(Session):
    """The model itself, eager, with scaled-dot-product attention."""

    backend = "pytorch"

    def __init__(
        self,
        model: Any,
        kind: str,
        precision: Precision = "fp32",
        *,
        pairs: bool = False,
        threads: int | None = None,
        concurrency: int = 1,
    ) -> None:
        """Make `model` ready; for bf16 a copy is made, the caller's model stays as it is.

        Threads are a setting of the calling thread in PyTorch, which has its own back afterwards.
        In a forked process OpenMP cannot start threads again, so that one computes there.

        Raises:
            ValueError: `precision` is not one that PyTorch runs here.
        """
        if precision not in _TYPES:
            raise ValueError(f"precision: PyTorch runs fp32 or bf16 here, not {precision!r}")
        if precision == "bf16":
            model = in_dtype(model, torch.bfloat16)
        self.graph = InferenceGraph(model, kind, pairs=pairs)
        self.precision = precision
        self.inputs = self.graph.inputs
        self.threads, self.concurrency = threads or cores(), concurrency
        self.pins = {"dtype": str(_TYPES[precision]), "threads": self.threads}

    def answer(self, arrays: Arrays) -> NDArray[np.float32]:
        """See `Session.answer`."""
        with _threads(1 if forked_with_torch() else self.threads), torch.inference_mode():
            output = self.graph(*[torch.from_numpy(a) for a in arrays if a is not None])
            return output.float().numpy()  # type: ignore[no-any-return]


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads for what this thread computes inside the block."""
    before = torch.get_num_threads()
    if before != count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if before != count:
            torch.set_num_threads(before)
