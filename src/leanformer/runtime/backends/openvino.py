"""OpenVINO: the fastest on x86 CPUs, in three precisions.

openvino/openvino_model.xml                    fp32, as optimum and sentence-transformers call it
openvino/openvino_model_bf16.xml               executed in bf16, weights stored in fp16
openvino/openvino_model_qint8_quantized.xml    int8
"""

from pathlib import Path
from typing import Any

from leanformer.core.proof import Proof
from leanformer.runtime.backend import FORMAT, Backend, register
from leanformer.runtime.openvino.session import OpenVinoSession, openvino_file
from leanformer.runtime.session import Precision


@register
class OpenVino(Backend):
    """Graphs in OpenVINO on the CPU."""

    name = "openvino"
    title = "OpenVINO"
    precisions = ("int8", "bf16", "fp32")
    exact_int8 = False
    session = OpenVinoSession

    def graph_file(self, precision: Precision, layout: int = FORMAT) -> str:
        """See `Backend.graph_file`."""
        if layout == 1:
            return f"openvino/{precision}/model.xml"
        return f"openvino/{openvino_file(precision)}"

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
        """See `Backend.export`."""
        # Only here, because torch takes seconds and 200 MB that a server does without.
        from leanformer.runtime.openvino.export import export_openvino

        return export_openvino(
            model,
            kind,
            (folder / self.graph_file(precision)).parent,
            precision=precision,
            pairs=calibration.pairs is not None,
            calibration=calibration,
            modules_to_not_convert=modules_to_not_convert,
        )
