"""The backends that transformers are served on: one file and one line each."""

from pathlib import Path

from leanformer.runtime.backend import FORMAT, Backend, find_backend, registered
from leanformer.runtime.backends import onnxruntime, openvino, pytorch  # noqa: F401  (register)
from leanformer.runtime.session import Precision

__all__ = ["FORMAT", "Backend", "find_backend", "graph_file", "registered"]


def graph_file(folder: Path, backend: str, precision: Precision, layout: int = FORMAT) -> Path:
    """Where the graph of `backend` in `precision` lies; for "pytorch" the weights themselves."""
    return folder / find_backend(backend).graph_file(precision, layout)
