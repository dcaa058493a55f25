"""ONNX Runtime: the portable one, in two precisions.

onnx/model.onnx                    fp32, as optimum and sentence-transformers call it
onnx/model_qint8_quantized.onnx    int8
"""

from pathlib import Path
from typing import Any

from leanformer.core.proof import Proof
from leanformer.runtime.backend import FORMAT, Backend, register
from leanformer.runtime.onnx.graph import quantizes_while_running
from leanformer.runtime.onnx.session import OnnxSession, onnx_file
from leanformer.runtime.session import Precision


@register
class OnnxRuntime(Backend):
    """Graphs in ONNX Runtime on the CPU."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    precisions = ("int8", "fp32")
    session = OnnxSession

    def graph_file(self, precision: Precision, layout: int = FORMAT) -> str:
        """See `Backend.graph_file`."""
        return f"onnx/{precision}/model.onnx" if layout == 1 else f"onnx/{onnx_file(precision)}"

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
        """See `Backend.export`; its int8 has no layers in floating point."""
        # Only here, because torch takes seconds and 200 MB that a server does without.
        from leanformer.runtime.onnx.export import export_onnx

        place = (folder / self.graph_file(precision)).parent
        pairs = calibration.pairs is not None
        return export_onnx(model, kind, place, precision=precision, pairs=pairs)

    def depends_on_batch(self, graph: Path) -> bool:
        """See `Backend.depends_on_batch`: dynamic int8 does."""
        return quantizes_while_running(graph)
