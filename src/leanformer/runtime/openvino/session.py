"""A graph in OpenVINO on the CPU, with everything pinned; nothing here needs torch.

What is *executed* is pinned and never left to the runtime, which by itself runs fp32 graphs in bf16
where the CPU can. One compiled model serves several callers at a time: each borrows one of its
infer requests, and each request has a stream of threads of its own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leanformer.core.machine.threads import cores
from leanformer.runtime.per_process import PerProcess
from leanformer.runtime.session import ANSWER, Arrays, Precision, Session

_HINT = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
_SUFFIX = {"fp32": "", "int8": "_qint8_quantized"}
_TELEMETRY = "openvino_telemetry"


def openvino_file(precision: Precision) -> str:
    """What the graph of a precision is called, as optimum and sentence-transformers do."""
    return f"openvino_model{_SUFFIX.get(precision, f'_{precision}')}.xml"


class OpenVinoSession(Session):
    """A graph compiled for the CPU, with precision, threads and streams pinned."""

    backend = "openvino"

    def __init__(
        self,
        path: Path,
        precision: Precision,
        *,
        threads: int | None = None,
        concurrency: int = 1,
    ) -> None:
        """Compile the graph at `path`.

        Args:
            path: The graph, an XML file with its weights beside it.
            precision: What its products run in.
            threads: Threads of one call; all cores unless given.
            concurrency: Calls that are computed at a time, each with its threads.
        """
        self.path, self.precision = path, precision
        self.threads, self.concurrency = threads or cores(), concurrency
        self.pins = openvino_pins(precision, self.threads, self.concurrency)
        self._opened = PerProcess(self._open)
        self.inputs = tuple(port.get_any_name() for port in self.compiled.inputs)
        names = [port.get_names() for port in self.compiled.outputs]
        self._answer = next((i for i, one in enumerate(names) if one & set(ANSWER)), 0)

    @property
    def compiled(self) -> Any:
        """The `openvino.CompiledModel` of this process."""
        return self._opened.get()[0]

    def answer(self, arrays: Arrays) -> NDArray[np.float32]:
        """See `Session.answer`."""
        requests = self._opened.get()[1]
        feeds = dict(zip(self.inputs, arrays, strict=False))
        request = requests.get()
        try:
            request.infer(feeds, share_inputs=True, share_outputs=True)
            output = request.get_output_tensor(self._answer).data
            return np.array(output, dtype=np.float32)  # a copy: the request reuses its own memory
        finally:
            requests.put(request)

    def _open(self) -> tuple[Any, "SimpleQueue[Any]"]:
        compiled = import_openvino().Core().compile_model(self.path, "CPU", self.pins)
        requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.concurrency):
            requests.put(compiled.create_infer_request())
        return compiled, requests

    def __reduce__(self) -> Any:
        again = {"threads": self.threads, "concurrency": self.concurrency}
        return partial(type(self), self.path, self.precision, **again), ()


def openvino_pins(precision: Precision, threads: int, concurrency: int = 1) -> dict[str, Any]:
    """What is pinned when a model is compiled: executed precision, threads, streams and hint.

    Threads are not bound to cores: OpenVINO would bind those of every process to the same ones, and
    two servers with one thread each would share a core while another is idle.
    """
    return {
        "INFERENCE_PRECISION_HINT": _HINT[precision],
        "INFERENCE_NUM_THREADS": threads * concurrency,
        "NUM_STREAMS": concurrency,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
    }


def import_openvino() -> Any:
    """The `openvino` package.

    Raises:
        ImportError: It is not installed; the message names the command.
    """
    try:
        with _without_telemetry():
            import openvino
    except ImportError as error:
        raise ImportError("this backend needs OpenVINO: pip install openvino nncf") from error
    return openvino


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the package with which `import openvino` and its converter report over the network."""
    if "openvino" in sys.modules or _TELEMETRY in sys.modules:
        yield  # it is the caller's own
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
