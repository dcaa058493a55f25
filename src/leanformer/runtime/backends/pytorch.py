"""PyTorch eager: no export, and the honest baselines; the weights themselves are the graph."""

from pathlib import Path
from typing import Any

from leanformer.core.proof import Proof
from leanformer.runtime.backend import FORMAT, Backend, register
from leanformer.runtime.per_process import forked_with_torch
from leanformer.runtime.session import Precision, Session
from leanformer.tasks import kind_named


@register
class PyTorch(Backend):
    """The model itself."""

    name = "pytorch"
    title = "PyTorch"
    precisions = ("fp32", "bf16")

    def graph_file(self, precision: Precision, layout: int = FORMAT) -> str:
        """See `Backend.graph_file`."""
        return "model.safetensors"

    def open(
        self,
        folder: Path,
        precision: Precision,
        *,
        kind: str,
        pairs: bool,
        threads: int | None,
        concurrency: int,
        layout: int = FORMAT,
    ) -> Session:
        """See `Backend.open`."""
        # Only here, because torch takes seconds and 200 MB that the other backends do without.
        import torch

        from leanformer.models.io.load import load_model
        from leanformer.runtime.torch_backend import TorchSession

        if forked_with_torch():  # loading computes too
            torch.set_num_threads(1)

        model, _ = load_model(folder, kind_named(kind).head)
        return TorchSession(
            model, kind, precision, pairs=pairs, threads=threads, concurrency=concurrency
        )

    def export(
        self,
        model: Any,
        kind: str,
        folder: Path,
        *,
        precision: Precision,
        calibration: Any,
        modules_to_not_convert: tuple[str, ...] = (),
    ) -> list[Proof]:
        """Nothing is left to do: `save_model` wrote the weights."""
        return []

    def files(self, names: Any, precision: Precision, layout: int = FORMAT) -> list[str]:
        """The weights, in as many files as they were saved in, and how texts become vectors."""
        return [
            name
            for name in names
            if ("/" not in name and name.endswith(".safetensors"))
            or ("/" in name and name.endswith("/config.json"))
        ]
