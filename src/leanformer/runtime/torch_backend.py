"""PyTorch eager in fp32 and bf16: no export, and the honest baselines.

bf16 is one line (`model.bfloat16()`), needs no calibration, and is twice as fast on CPUs with bf16
instructions. A table of speed-ups that leaves it out compares with a straw man.
"""

import copy
import os
from typing import Any

import numpy as np
import torch

from leanformer.runtime.graph import InferenceGraph
from leanformer.runtime.session import Arrays, Backend, Kind, Precision, Session

_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchSession(Session):
    """The model itself, eager, with scaled-dot-product attention."""

    backend: Backend = "pytorch"

    def __init__(
        self,
        model: Any,
        kind: Kind,
        precision: Precision = "fp32",
        *,
        pairs: bool = False,
        threads: int | None = None,
    ) -> None:
        """Make `model` ready; for bf16 a copy is made, the caller's model stays as it is.

        Threads are a setting of the whole process in PyTorch: they are set at each `run`.

        Raises:
            ValueError: `precision` is not one that PyTorch runs here.
        """
        if precision not in _TYPES:
            raise ValueError(f"precision: PyTorch runs fp32 or bf16 here, not {precision!r}")
        if precision == "bf16":
            model = copy.deepcopy(model).bfloat16()
        self.graph = InferenceGraph(model, kind, pairs=pairs)
        self.precision = precision
        self.inputs = self.graph.inputs
        self.threads = threads or len(os.sched_getaffinity(0))
        self.pins = {"dtype": str(_TYPES[precision]), "threads": self.threads}

    def answer(self, arrays: Arrays) -> np.ndarray:
        """See `Session.answer`."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        with torch.inference_mode():
            output = self.graph(*[torch.from_numpy(a) for a in arrays if a is not None])
        return output.float().numpy()
