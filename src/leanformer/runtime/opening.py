"""Open a served folder on a backend; torch is imported for PyTorch only."""

import logging
from pathlib import Path
from typing import Any

from leanformer.core.processor import exact_with, multiplies_int8_exactly
from leanformer.runtime.manifest import Manifest, check_files, read_manifest
from leanformer.runtime.onnx_session import OnnxSession
from leanformer.runtime.openvino_session import OpenVinoSession
from leanformer.runtime.session import Backend, Precision, Session, graph_file
from leanformer.tasks import kind_named

_log = logging.getLogger(__name__)


def open_session(
    folder: Path,
    backend: Backend | None = None,
    precision: Precision | None = None,
    threads: int | None = None,
    concurrency: int = 1,
) -> Session:
    """The model of `folder`, ready to run.

    Args:
        folder: A folder with `leanformer.json`.
        backend: The winner of the race when it was exported, unless named.
        precision: The winner's, or of a named backend the smallest that the folder holds.
        threads: Threads of one call; as many as there are cores, unless given.
        concurrency: Calls that are computed at a time, each with its threads.

    Raises:
        ValueError: The folder does not hold that model, or a file is damaged.
        ImportError: The backend is not installed.
    """
    manifest = read_manifest(folder)
    backend, precision = choose(manifest, backend, precision)
    check_files(folder, manifest, backend, precision)
    path = graph_file(folder, backend, precision)
    if backend == "openvino":
        _warn_of_saturation(folder, manifest, precision)
        return OpenVinoSession(path, precision, threads=threads, concurrency=concurrency)
    if backend == "onnxruntime":
        return OnnxSession(path, precision, threads=threads, concurrency=concurrency)
    # Only here, because torch takes seconds and 200 MB that the other backends do without.
    from leanformer.models.load import load_model
    from leanformer.runtime.torch_backend import TorchSession

    model, _ = load_model(folder, kind_named(manifest.kind).head)
    settings: dict[str, Any] = {"threads": threads, "concurrency": concurrency}
    return TorchSession(model, manifest.kind, precision, pairs=manifest.pairs, **settings)


def _warn_of_saturation(folder: Path, manifest: Manifest, precision: Precision) -> None:
    """Say that int8 products which were exact where the folder was made can saturate here."""
    if precision == "int8" and exact_with(manifest.instructions) and not multiplies_int8_exactly():
        _log.warning(
            "%s was exported in int8 on a CPU whose int8 products are exact (VNNI or AMX); on this "
            "one they can saturate, and answers may differ from those that were judged: export the "
            "model again here, or load it with backend='pytorch'",
            folder,
        )


def choose(
    manifest: Manifest, backend: Backend | None, precision: Precision | None
) -> tuple[Backend, Precision]:
    """What is opened when only a part was named."""
    backend = backend or manifest.backend
    if precision is not None:
        return backend, precision
    if backend == manifest.backend:
        return backend, manifest.precision
    order: tuple[Precision, ...] = ("fp32",) if backend == "pytorch" else ("int8", "bf16", "fp32")
    held = (p for p in order if graph_file(Path(), backend, p).as_posix() in manifest.files)
    return backend, next(held, "fp32")
