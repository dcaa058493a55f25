"""A graph in OpenVINO on the CPU; nothing here needs torch.

What changes speed or numbers is pinned: left to itself OpenVINO runs fp32 graphs in bf16 where the
CPU can.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.runtime.session import Arrays, Backend, Precision, Session

_HINT = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVinoSession(Session):
    """A graph compiled for the CPU, with precision, threads and streams pinned."""

    backend: Backend = "openvino"

    def __init__(self, path: Path, precision: Precision, *, threads: int | None = None) -> None:
        """Compile the graph at `path`."""
        self.precision = precision
        self.pins = openvino_pins(precision, threads)
        self.compiled = compile_openvino(path, precision, threads=threads)
        self.inputs = tuple(port.get_any_name() for port in self.compiled.inputs)
        self.request = self.compiled.create_infer_request()

    def answer(self, arrays: Arrays) -> np.ndarray:
        """See `Session.answer`."""
        feeds = dict(zip(self.inputs, arrays, strict=False))
        output = self.request.infer(feeds, share_inputs=True)[0]
        return np.array(output, dtype=np.float32)  # a copy: the request reuses its own memory


def compile_openvino(path: Path, precision: Precision, *, threads: int | None = None) -> Any:
    """The compiled model, with the pins of `openvino_pins`."""
    return import_openvino().Core().compile_model(path, "CPU", openvino_pins(precision, threads))


def openvino_pins(precision: Precision, threads: int | None = None) -> dict[str, Any]:
    """What is pinned when a model is compiled: executed precision, threads, streams and hint."""
    return {
        "INFERENCE_PRECISION_HINT": _HINT[precision],
        "INFERENCE_NUM_THREADS": threads or len(os.sched_getaffinity(0)),
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }


def import_openvino() -> Any:
    """The `openvino` package.

    Raises:
        ImportError: It is not installed; the message names the command.
    """
    try:
        import openvino
    except ImportError as error:
        raise ImportError("this backend needs OpenVINO: pip install openvino nncf") from error
    return openvino
