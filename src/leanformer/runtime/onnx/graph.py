"""Fuse, quantize and optimize a traced ONNX graph, and count its operators.

All of this runs ONNX Runtime on the CPU at hand, so `export_onnx` calls it in a child process.
Arguments and results are values that JSON can hold, and nothing here needs torch.
"""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from leanformer.core.storage.disk import naming_disk
from leanformer.runtime.onnx.heads import name_heads
from leanformer.runtime.onnx.session import import_onnxruntime
from leanformer.runtime.silence import silenced

_DYNAMIC = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "QAttention")


def finish_graph(source: str, target: str, precision: str) -> dict[str, dict[str, int]]:
    """Fuse the graph at `source` and write it to `target` as it is served; tell what it holds.

    Args:
        source: The ONNX file as it was traced.
        target: The file to write.
        precision: "fp32", or "int8" for weights by channel and inputs quantized as they come.

    Returns:
        Operators of the fused graph ("fused") and of the graph that is executed ("executed").
    """
    beside = Path(target).parent
    with tempfile.TemporaryDirectory(dir=beside) as folder, naming_disk(Path(target)):
        fused = fuse(Path(source))
        place = target if precision == "fp32" else str(Path(folder) / "fused.onnx")
        fused.save_model_to_file(place)
        if precision == "int8":
            quantize_dynamic(Path(place), Path(target))
    return {
        "fused": dict(Counter(node.op_type for node in fused.model.graph.node)),
        "executed": executed_operators(target),
    }


def fuse(path: Path) -> Any:
    """ONNX Runtime's own BERT fusions; head counts are read from each layer, so they may differ."""
    import_onnxruntime()
    import onnx
    from onnxruntime.transformers.optimizer import optimize_model

    model = onnx.load(path)
    name_heads(model)
    onnx.save(model, path)
    with silenced():
        return optimize_model(str(path), model_type="bert", num_heads=0, hidden_size=0)


def quantize_dynamic(source: Path, target: Path) -> None:
    """Int8 weights by channel, full range, activations quantized while running."""
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as ort_quantize_dynamic

    ort_quantize_dynamic(
        source,
        target,
        per_channel=True,
        reduce_range=False,
        weight_type=QuantType.QInt8,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )


def executed_operators(path: str) -> dict[str, int]:
    """How often each operator is in the graph that ONNX Runtime executes."""
    onnxruntime = import_onnxruntime()
    import onnx

    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder, naming_disk(Path(path)):
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "executed.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        model = onnx.load(options.optimized_model_filepath, load_external_data=False)
    return dict(Counter(node.op_type for node in model.graph.node))


def quantizes_while_running(path: Path) -> bool:
    """Whether a graph takes the scale of its inputs from the whole batch that it is given.

    The answers of such a graph change with the other texts of a batch, and with their padding.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    return any(node.op_type in _DYNAMIC for node in model.graph.node)
