"""A graph in ONNX Runtime on the CPU; nothing here needs torch."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from leanformer.runtime.session import Arrays, Backend, Precision, Session


class OnnxSession(Session):
    """A graph in ONNX Runtime on the CPU, idle threads not spinning between calls."""

    backend: Backend = "onnxruntime"

    def __init__(self, path: Path, precision: Precision, *, threads: int | None = None) -> None:
        """Load the graph at `path`."""
        onnxruntime = import_onnxruntime()
        self.precision = precision
        threads = threads or len(os.sched_getaffinity(0))
        self.pins = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Without VNNI the fast products of uint8 with int8 saturate; these are exact everywhere.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = tuple(port.name for port in self.session.get_inputs())

    def answer(self, arrays: Arrays) -> np.ndarray:
        """See `Session.answer`."""
        feeds = dict(zip(self.inputs, arrays, strict=False))
        return self.session.run(None, feeds)[0]


def import_onnxruntime() -> Any:
    """The `onnxruntime` package.

    Raises:
        ImportError: It is not installed; the message names the command.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            "this backend needs ONNX Runtime: pip install onnxruntime onnx"
        ) from error
    return onnxruntime
