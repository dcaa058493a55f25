"""A graph in ONNX Runtime on the CPU; nothing here needs torch."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.machine.threads import cores
from leanformer.runtime.per_process import PerProcess
from leanformer.runtime.session import ANSWER, Arrays, Precision, Session

_SUFFIX = {"fp32": "", "int8": "_qint8_quantized"}


def onnx_file(precision: Precision) -> str:
    """What the graph of a precision is called, as optimum and sentence-transformers do."""
    return f"model{_SUFFIX.get(precision, f'_{precision}')}.onnx"


class OnnxSession(Session):
    """A graph in ONNX Runtime on the CPU, idle threads not spinning between calls.

    Any number of callers may run it at a time; with one thread each runs in its caller's.
    """

    backend = "onnxruntime"

    def __init__(
        self,
        path: Path,
        precision: Precision,
        *,
        threads: int | None = None,
        concurrency: int = 1,
    ) -> None:
        """Load the graph at `path`; the other arguments are those of `OpenVinoSession`."""
        self.path, self.precision = path, precision
        self.threads, self.concurrency = threads or cores(), concurrency
        self.pins = {"intra_op_num_threads": self.threads, "inter_op_num_threads": 1}
        self._opened = PerProcess(self._open)
        self.inputs = tuple(port.name for port in self._opened.get().get_inputs())
        names = [port.name for port in self._opened.get().get_outputs()]
        self._answer = next((name for name in names if name in ANSWER), names[0])

    def answer(self, arrays: Arrays) -> NDArray[np.float32]:
        """See `Session.answer`."""
        feeds = dict(zip(self.inputs, arrays, strict=False))
        return self._opened.get().run([self._answer], feeds)[0]

    def _open(self) -> Any:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # Without VNNI the fast products of uint8 with int8 saturate; these are exact everywhere.
        options.add_session_config_entry("session.x64quantprecision", "1")
        return onnxruntime.InferenceSession(
            str(self.path), options, providers=["CPUExecutionProvider"]
        )

    def __reduce__(self) -> Any:
        again = {"threads": self.threads, "concurrency": self.concurrency}
        return partial(type(self), self.path, self.precision, **again), ()


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
